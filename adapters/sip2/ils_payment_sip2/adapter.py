"""A library system that speaks SIP2. It writes in ``settle`` only, with one message 37.

What SIP2 has no message for is declared absent: renewing a card, charging, lifting blocks, titles, lists of
credits or of cards. What a server does beyond that is its dialect (:mod:`ils_payment_sip2.dialect`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from ils_payment.by_card import PatronRefs, SignIns
from ils_payment.errors import PinNeededError, RemoteAbsentError, RemoteError, RemoteRefusedError
from ils_payment.model import (
    Binding,
    MarkerSupport,
    NotApplied,
    Refused,
    SystemCapabilities,
    Unavailable,
    Unclear,
)
from ils_payment_sip2 import checks, patron, settling, wire
from ils_payment_sip2.client import NotSentError, SIP2Client
from ils_payment_sip2.config import SIP2Config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import (
        Account,
        Card,
        Credit,
        CreditOrder,
        Fee,
        Finding,
        PatronRef,
        SettleOutcome,
    )
    from ils_payment.ports import Host, PluginConfig


class SIP2System:
    """The library system of one library with SIP2; see :class:`ils_payment.ports.LibrarySystem`."""

    Config: ClassVar[type[PluginConfig]] = SIP2Config

    def __init__(self, config: SIP2Config, host: Host) -> None:
        self._config = config
        self._host = host
        self._client = SIP2Client(config, host)
        self._refs = PatronRefs(config.patron_key, "sip2")
        self._sign_ins = SignIns(host, config.remember_minutes * 60)

    def capabilities(self) -> SystemCapabilities:
        """Message 37 carries a marker that nobody can read back; only Gossip's dialect has ids of fees."""
        dialect = self._config.spoken
        return SystemCapabilities(
            unattended_read=dialect.reads_without_pin,
            fee_ids=dialect.has_fee_ids,
            marker=MarkerSupport.WRITE_ONLY,
            bound=Binding.DIRECTED if dialect.has_fee_ids else Binding.LUMP,
            batch=not dialect.has_fee_ids,
            partial=dialect.partial,
            surplus=dialect.surplus,
            credit_list=False,
            late_apply_max=timedelta(minutes=self._config.late_apply_minutes),
            sign_in=True,
            handed_over=False,
            parallel_calls=self._config.connections,
            identity=f"sip2://{self._config.host}:{self._config.port}/{self._config.institution}",
        )

    def check(self) -> list[Finding]:
        """Test address, login, supported messages and one read, without any message that could pay."""
        return checks.run(self._client, self._config, self._host)

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask with the PIN (AD); only an explicit CQ of Y signs in.

        Servers that are told to may take an empty PIN for right (read in Koha's code), so none is sent.
        """
        card = card.strip()
        dialect = self._config.spoken
        if not card or not pin or not wire.is_safe(card, dialect) or not wire.is_safe(pin, dialect):
            return Refused()
        try:
            answer = self._client.ask_patron(card, pin)
            number = patron.card_of(answer, card)
            if answer.first("CQ") == "N":
                return Refused()
            if answer.first("CQ") != "Y":
                return Unavailable("sip2_no_verdict_on_the_pin: the server sends no CQ")
            ref = self._refs.ref(number)
            if not dialect.reads_without_pin:
                self._sign_ins.keep(ref, self._account_in(answer), self._card_in(answer))
        except RemoteAbsentError:
            return Refused()
        except RemoteError as error:
            return Unavailable(str(error))
        return ref

    def find_patron(self, card: str) -> PatronRef | None:
        """Ask without a PIN whether there is such a card; PinNeededError where the server wants one."""
        card = card.strip()
        if not card or not wire.is_safe(card, self._config.spoken):
            return None
        try:
            return self._refs.ref(patron.card_of(self._ask(card), card))
        except RemoteAbsentError:
            return None

    def account(self, patron: PatronRef) -> Account:
        """Read the account with one message; where the server wants the PIN, as it was at the sign-in."""
        if not self._config.spoken.reads_without_pin:
            return self._remembered(patron)[0]
        return self._account_in(self._read(patron))

    def card(self, patron: PatronRef) -> Card:
        """Read the card with one message; where the server wants the PIN, as it was at the sign-in."""
        if not self._config.spoken.reads_without_pin:
            return self._remembered(patron)[1]
        return self._card_in(self._read(patron))

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Return nothing: SIP2 does not say which item a fee is about."""
        return {}

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Send one message 37: **money moves here**. The outcomes are :data:`settling.OUTCOMES`.

        SIP2 cannot tell a repeated payment from a second one, so nothing is ever sent twice.
        """
        problem = settling.order_problem(order, self._config, self._host.library.currency)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        try:
            card = self._refs.card(order.patron)
        except RemoteAbsentError:
            return NotApplied(reason="order_patron_is_not_of_this_key", permanent=True)
        fixed, fields = settling.pay_fields(order, self._config)
        # Whatever comes of it, what was read at the sign-in is not true any more.
        self._sign_ins.forget(order.patron)
        try:
            answer = self._client.pay(card, fixed, fields, order.send_before)
        except NotSentError as error:
            return NotApplied(reason=f"sip2_not_sent: {error}")
        except RemoteError as error:
            return Unclear(reason=f"sip2_answer_lost: {error}")
        sent = settling.Sent(card, order.cents, order.currency, order.lines[0].ref)
        return settling.outcome(answer, sent, order, self._config)

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Refuse: no message of SIP2 shows a marker again. The core does not ask."""
        raise RemoteRefusedError("SIP2 cannot read markers back.")

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Refuse: no message of SIP2 lists credits. The core does not ask."""
        raise RemoteRefusedError("SIP2 cannot list credits.")

    def _read(self, ref: PatronRef) -> wire.Message:
        """Ask about a patron without a PIN, and make sure that the answer is about this very one."""
        card = self._refs.card(ref)
        answer = self._client.ask_patron(card, None)
        patron.card_of(answer, card)
        return answer

    def _ask(self, card: str) -> wire.Message:
        if not self._config.spoken.reads_without_pin:
            raise _pin_needed()
        return self._client.ask_patron(card, None)

    def _remembered(self, ref: PatronRef) -> tuple[Account, Card]:
        found = self._sign_ins.of(ref)
        if found is None:
            raise _pin_needed()
        return found

    def _account_in(self, answer: wire.Message) -> Account:
        return patron.account(answer, self._config.spoken, self._host.library.currency, self._host.now())

    def _card_in(self, answer: wire.Message) -> Card:
        today = self._host.library.day_of(self._host.now())
        return patron.card(answer, self._config.spoken, today)


def _pin_needed() -> PinNeededError:
    return PinNeededError(
        "This SIP2 server answers with the patron's PIN only.",
        mend="If it answers without, write dialect = { reads_without_pin = true }; see docs/sip2.md.",
    )


__all__ = ["SIP2System"]
