"""See: the fees as the library system knows them now, which can be paid, and why the others cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ils_payment.domain import payable
from ils_payment.errors import RemoteError
from ils_payment.flows import show, tariffs
from ils_payment.flows.views import FeeLine, FeesView, MethodChoice
from ils_payment.store import claims, patrons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.tariffs import KnownKind
    from ils_payment.flows.views import PaymentView
    from ils_payment.model import Account, Fee, PatronRef

log = structlog.get_logger(__name__)


def payer(desk: Desk, patron: PatronRef) -> str | None:
    """Return the end of the patron's card number, for a receipt; None where it cannot be told now.

    It is read anew each time, and kept nowhere: a patron who was erased here has none.
    """
    try:
        number = desk.system.card(patron).number
    except RemoteError as error:
        log.warning("payer_left_out", library=desk.key, reason=str(error))
        return None
    return masked(number) if number else None


def masked(number: str | None) -> str:
    """Return the end of a card number, four signs and never more than half: ``•••• 2345``."""
    shown = min(4, len(number or "") // 2)
    return f"•••• {(number or '')[-shown:]}".strip() if shown else "••••"


def fees(house: House, desk: Desk, patron: PatronRef) -> FeesView:
    """Read the account fresh and say what can be paid. Raises RemoteError."""
    account = desk.account(patron)
    today = desk.day_of(house.world.now())
    judged = judge(house, desk, account)
    titles = _titles(desk, judged)
    claimed: Mapping[str, str] = {}
    running: tuple[PaymentView, ...] = ()
    being_paid = 0
    with house.store.read() as unit:
        known = patrons.known_id(unit, desk.patrons, patron)
        if known is not None:
            claimed = claims.of_patron(unit, known)
            running = show.running(house, unit, known)
            being_paid = claims.cents(unit, known)
    lines = tuple(
        _line(fee, tariffs.known_kind(desk, fee.kind, today), titles, claimed.get(fee.claim_key))
        for fee in judged
    )
    return FeesView(
        currency=desk.settings.currency,
        lines=lines,
        open_credit=account.open_credit,
        payable_cents=sum(line.cents for line in lines if line.payable),
        # What is being paid already will take its part of what is owed.
        limit_cents=max(payable.limit(account) - being_paid, 0),
        methods=tuple(
            MethodChoice(method=offered.method, minimum_cents=desk.minimum(offered.method) or 0)
            for offered in desk.settings.methods
        ),
        running=running,
        paused=house.paused,
        test_mode=not desk.live,
        read_at=account.read_at,
        whole=not desk.system.capabilities().fee_ids,
    )


def judge(house: House, desk: Desk, account: Account) -> list[Fee]:
    """Apply the library's rules to the fees of *account*."""
    today = desk.day_of(house.world.now())
    rules = tariffs.rules(desk, today)
    growing = desk.settings.growing_fines_payable
    return [payable.judge(fee, rules, today, growing_payable=growing) for fee in account.fees]


def _titles(desk: Desk, judged: list[Fee]) -> Mapping[str, str]:
    """Return the titles behind the fees; without them the fees' own texts are shown."""
    wanted = [fee for fee in judged if fee.item]
    if not wanted or not desk.system.capabilities().titles:
        return {}
    try:
        return desk.system.titles(wanted)
    except RemoteError as error:
        log.warning("titles_unavailable", library=desk.key, reason=error.what)
        return {}


def _line(fee: Fee, known: KnownKind, titles: Mapping[str, str], running: str | None) -> FeeLine:
    return FeeLine(
        key=fee.claim_key,
        kind=fee.kind,
        label=known.label,
        text=fee.text,
        title=titles.get(fee.item) if fee.item else None,
        cents=fee.cents,
        since=fee.since,
        payable=fee.payable and running is None,
        reason=fee.reason,
        running=running,
    )
