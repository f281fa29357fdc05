"""The Onleihe of one library; see :class:`ils_payment.ports.ELendingPlatform`.

Both ways of knowing rest on the same rules (:mod:`ils_payment_onleihe.rules`): with ``answer`` they are what
the Onleihe gets at the next login, with ``ask`` they are what is expected of the library's own service.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, ClassVar

import structlog

from ils_payment.errors import ConfigurationError, RemoteError, RemoteGarbledError
from ils_payment.model import (
    Answer,
    ELendingCapabilities,
    Finding,
    Freshness,
    Hindrance,
    Level,
    Refused,
    Reply,
    Unavailable,
    Verdict,
)
from ils_payment.money import MoneyError, parse
from ils_payment_onleihe import client, rules, wire
from ils_payment_onleihe.config import OnleiheConfig

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.model import PatronRef, Question, RawRequest
    from ils_payment.ports import Host, LibraryReader, PluginConfig

NOBODY = "ils-payment-check"
"""The card number with which ``check`` asks; no library has it."""

_LENDS = frozenset({rules.VALID, rules.TEST_USER})
_WRONG = frozenset({rules.WRONG_CREDENTIALS, rules.WRONG_PASSWORD})

log = structlog.get_logger(__name__)


class Onleihe:
    """Answers the Onleihe, or asks the library's service that does."""

    Config: ClassVar[type[PluginConfig]] = OnleiheConfig

    def __init__(self, config: OnleiheConfig, host: Host) -> None:
        self._config = config
        self._host = host
        self._rules = _rules(config, host.library.currency)
        self._networks = [ip_network(network) for network in config.allowed_networks]

    def capabilities(self) -> ELendingCapabilities:
        """The Onleihe asks at each login; that it keeps nothing is inferred."""
        delay = self._config.delay_minutes
        return ELendingCapabilities(
            name=self._config.name,
            freshness=Freshness.DELAYED if delay else Freshness.LIVE,
            delay=timedelta(minutes=delay) if delay else None,
            inbound=self._config.mode == "answer",
            needs_pin=self._config.mode == "ask",
        )

    def check(self) -> list[Finding]:
        """With ``ask``: put the question about a card that nobody has. With ``answer``: tell the address."""
        if self._config.url is None or self._config.mode == "answer":
            address = f"/elending/{self._host.library.key}/..."
            networks = ", ".join(self._config.allowed_networks)
            return [Finding(Level.OK, "answer", f"{address} answers {networks}, and nobody else")]
        try:
            said = self._service(NOBODY, NOBODY)
        except RemoteError as error:
            return [Finding(Level.ERROR, "service", error.what, error.mend)]
        if said in _WRONG:
            return [Finding(Level.OK, "service", "it answers, and knows no card that nobody has")]
        mend = "Ask who runs it: a card number that nobody has must be refused."
        return [Finding(Level.ERROR, "service", f"it answers {said} for a card that nobody has", mend)]

    def ask(self, question: Question) -> Answer:
        """Say what the Onleihe does with a patron now.

        With ``answer`` this is what it gets at its next question, from the same rules. With ``ask`` the
        library's service is asked if the PIN is at hand; else the verdict is derived.
        """
        found = rules.standing(question.account, question.card, self._rules, self._today())
        derived = Answer(
            verdict=Verdict.OPEN if found.status == rules.VALID else Verdict.BLOCKED,
            asked=self._config.mode == "answer",
            as_of=question.account.read_at,
            code=str(found.status),
            hindrances=found.hindrances,
        )
        if self._config.mode == "answer" or question.pin is None or question.card.number is None:
            return derived
        said = self._service(question.card.number, question.pin)
        return _heard(said, replace(derived, asked=True, as_of=self._host.now(), code=str(said)))

    def _service(self, card: str, pin: str) -> int:
        return client.ask(self._host, self._config.url or "", card, pin, self._config.deadline_seconds)

    def serve(self, request: RawRequest, source: str, reader: LibraryReader) -> Reply:
        """Answer the Onleihe: 200 and a status, 403 for strangers, 503 where nobody can tell.

        A wrong PIN, an unknown card, a locked card and a question that is none get the same answer. That
        a service which cannot tell should answer 503 is inferred: there is no status for it, and the word
        for wrong credentials would be a lie that makes patrons try again.
        """
        if not self._allowed(source):
            return Reply(status=403)
        login = wire.question(request)
        if login is None:
            return wire.answer(rules.WRONG_CREDENTIALS)
        try:
            patron = reader.sign_in(login.card, login.pin)
            if isinstance(patron, Refused):
                return wire.answer(rules.WRONG_CREDENTIALS)
            if isinstance(patron, Unavailable):
                return self._cannot_tell(patron.reason)
            return self._status_of(patron, login, reader)
        except RemoteError as error:
            return self._cannot_tell(str(error))

    def _status_of(self, patron: PatronRef, login: wire.Login, reader: LibraryReader) -> Reply:
        account, card = reader.account(patron), reader.card(patron)
        today = self._today()
        found = rules.standing(account, card, self._rules, today)
        return wire.answer(
            found.status,
            rules.fsk(card.birth_date, self._rules, today),
            card.number or login.card,
            self._user_id(patron),
        )

    def _cannot_tell(self, reason: str) -> Reply:
        log.warning("onleihe_not_answered", library=self._host.library.key, reason=reason)
        return Reply(status=503, headers=(("retry-after", "60"),))

    def _allowed(self, source: str) -> bool:
        try:
            address = ip_address(source)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _user_id(self, patron: PatronRef) -> str:
        key = self._config.pseudonym_key
        if self._config.user_id == "patron" or key is None:
            return patron
        return hmac.new(key.get_secret_value().encode(), patron.encode(), hashlib.sha256).hexdigest()[:32]

    def _today(self) -> date:
        return self._host.library.day_of(self._host.now())


def _rules(config: OnleiheConfig, currency: str) -> rules.Rules:
    try:
        return rules.Rules(
            fee_limit=parse(config.fee_limit, currency),
            fee_limits={category: parse(one, currency) for category, one in config.fee_limits.items()},
            fee_kinds_not_counted=frozenset(config.fee_kinds_not_counted),
            categories_not_allowed=frozenset(config.categories_not_allowed),
            fsk_unknown=config.fsk_unknown,
            fsk_age_zero=config.fsk_age_zero,
            texts=config.texts,
        )
    except MoneyError as error:
        raise ConfigurationError(
            f"The Onleihe's fee_limit or fee_limits do not fit the currency: {error}",
            mend="Write amounts like 20.00.",
        ) from None


def _heard(said: int, derived: Answer) -> Answer:
    """Return what the service's word *said* means, with everything that we know to hinder beside it."""
    if said in _LENDS:
        return replace(derived, verdict=Verdict.OPEN, hindrances=())
    if said in _WRONG:
        reason = "the service knows no such card, or another PIN"
        return replace(derived, verdict=Verdict.CANNOT_TELL, hindrances=(), reason=reason)
    row = rules.first_with(said)
    if row is None and said != rules.DELETED:
        raise RemoteGarbledError(f"The service that answers the Onleihe sent the unknown status {said}.")
    known = derived.hindrances
    statuses = {one.kind: one.status for one in rules.ORDER}
    if row is None or said not in {statuses[one.kind] for one in known}:
        # It knows something that we do not see: an unread block, or a stale copy of what was.
        kind, lifter = (
            ("other", "library") if row is None or said == rules.BLOCKED else (row.kind, row.lifted_by)
        )
        known = (Hindrance(kind=kind, lifted_by=lifter), *known)
    return replace(derived, verdict=Verdict.BLOCKED, hindrances=known)
