"""The tariff at work: the quote for a card, compared with the library system, and what fee kinds mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ils_payment.config.tariff_file import load_tariff
from ils_payment.domain.payable import Rule
from ils_payment.domain.tariff import NoQuote, Quote, quote, refusal
from ils_payment.domain.tariff_compare import contradicted
from ils_payment.errors import ConfigurationError
from ils_payment.model import WHOLE_ACCOUNT, Unreadable

if TYPE_CHECKING:
    from datetime import date

    from ils_payment import config
    from ils_payment.config import Library
    from ils_payment.domain import by_law
    from ils_payment.domain.by_law import Tariff
    from ils_payment.flows.desk import Desk
    from ils_payment.model import Card, LocalText, PatronRef

log = structlog.get_logger(__name__)

_ALL_FEES = {"de": "Alle offenen Gebühren", "en": "All open fees"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKind:
    """What is known of a fee kind: its name for patrons (None: nothing), and where it is booked."""

    label: LocalText | None = None
    cost_centre: str = ""
    account: str = ""
    tax_code: str = ""


def open_tariff(key: str, library: Library) -> Tariff | None:
    """Read the tariff that a library names; None if it names none. Raises ConfigurationError."""
    if library.tariff is None:
        return None
    tariff = load_tariff(Path(library.tariff))
    if tariff.currency != library.currency:
        raise ConfigurationError(
            f"{library.tariff}: currency: is {tariff.currency}, but libraries.{key}.currency is "
            f"{library.currency}.",
            mend="Let both be the same.",
        )
    return tariff


def quote_for(
    desk: Desk,
    patron: PatronRef,
    card: Card,
    today: date,
    *,
    ignore_lead: bool = False,
    evidence_until: date | None = None,
) -> Quote | NoQuote:
    """Say what renewing the *patron*'s *card* costs *today*, or why not.

    RemoteError where prices cannot be compared, or evidence cannot be asked for. A price that the library
    system contradicts is no price. Without a tariff nothing can be renewed. *evidence_until* goes before
    what the library system says.
    """
    if desk.tariff is None:
        return refusal("no_tariff")
    found = quote(desk.tariff, card, today, ignore_lead=ignore_lead, evidence_until=evidence_until)
    if isinstance(found, NoQuote) and found.code == "needs_evidence":
        # Only now is it known that nothing else stands in the way.
        known = _evidence(desk, patron)
        if isinstance(known, Unreadable):
            log.warning("evidence_unreadable", library=desk.key, reason=known.reason)
            return refusal("evidence_unreadable", desk.tariff.at(today))
        found = quote(desk.tariff, card, today, ignore_lead=ignore_lead, evidence_until=known)
    if isinstance(found, NoQuote) or desk.category_fees is None:
        return found
    if contradicted(found, desk.tariff, desk.category_fees.get(), today):
        return refusal("differs", desk.tariff.at(today))
    return found


def _evidence(desk: Desk, patron: PatronRef) -> date | Unreadable | None:
    """Ask the library system how long the patron's evidence is good; None where it cannot tell."""
    return desk.evidencing.evidence_until(patron) if desk.evidencing else None


def booked_kind(desk: Desk, kind: str, today: date) -> config.FeeKind | by_law.FeeKind | None:
    """Return what the configuration, or else the tariff, says of a fee kind; None where neither knows it."""
    version = desk.tariff.at(today) if desk.tariff else None
    return desk.settings.fee_kinds.get(kind) or (version.kind(kind) if version else None)


def known_kind(desk: Desk, kind: str, today: date) -> KnownKind:
    """Return what is known *today* of a fee kind of the library system, or of the tariff by its own name.

    ``fee_kinds`` of the configuration goes before the tariff.
    """
    found = booked_kind(desk, kind, today)
    if found is None:
        whole = kind == WHOLE_ACCOUNT and not desk.system.capabilities().fee_ids
        return KnownKind(label=_ALL_FEES if whole else None)
    return KnownKind(
        label=found.label, cost_centre=found.cost_centre, account=found.account, tax_code=found.tax_code
    )


def rules(desk: Desk, today: date) -> tuple[Rule, ...]:
    """Return what may not be paid online: the configured rules, then what the tariff keeps out."""
    configured = tuple(
        Rule(text=rule.text, kind=rule.kind, status=rule.status, older_than_days=rule.older_than_days)
        for rule in desk.settings.not_payable
    )
    version = desk.tariff.at(today) if desk.tariff else None
    if version is None:
        return configured
    return configured + tuple(
        Rule(text=kind.why or kind.label, kind=code)
        for kind in version.kinds.values()
        if not kind.online
        for code in kind.codes or (kind.key,)
    )
