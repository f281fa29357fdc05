"""Going live: what has to be seen once with real money, and what the ledger has seen of it already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.flows.reconcile import reach
from ils_payment.model import MarkerSupport, RefundSupport
from ils_payment.money import to_decimal
from ils_payment.store import journal, milestones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import ProviderCapabilities
    from ils_payment.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the list: what to do, how to tell that it worked, what the program saw ("": nothing).

    ``proven``: what it saw is all that the line asks for; else a person still has to see the rest.
    """

    title: str
    how: str
    seen: str = ""
    proven: bool = False


def checklist(
    house: House, library: str, checked: str, *, live: bool, desk: Desk | None = None
) -> list[Item]:
    """Return the list for one library.

    *checked* says how ``check`` ended, empty if it found an error; *live*: its keys take real money.
    *desk* tells what its plugins cannot do; None where they could not be loaded.
    """
    zone = house.settings.libraries[library].zone
    with house.store.read() as unit:
        return [
            Item(
                title="The installation is complete",
                how="ils-payment check ends without an error; the keys are live keys.",
                seen=checked if live or not checked else f"{checked}; but with test keys",
                proven=live and bool(checked),
            ),
            *_money(unit, library, zone, desk),
            *_refunds(unit, library, zone, _unable(desk, _gives_back)),
            *_books(unit, library, zone, desk),
            *_by_hand(),
        ]


def _money(unit: Unit, library: str, zone: ZoneInfo, desk: Desk | None) -> Iterator[Item]:
    marked = desk is None or desk.system.capabilities().marker is MarkerSupport.READABLE
    paid = milestones.last_settled(unit, library)
    told = ""
    if paid is not None:
        told = (
            f"{paid.settled_at.astimezone(zone):%Y-%m-%d %H:%M} {paid.receipt_number}, "
            f"{to_decimal(paid.cents, paid.currency)} {paid.currency}"
        )
    yield Item(
        title="A real fee was paid with real money and is settled",
        how="Pay a small fee of your own. The library system has one credit of just this amount"
        + (", with the number of the receipt." if marked else "."),
        seen=told,
        proven=bool(told),
    )
    yield Item(
        title="The receipt is right",
        how="Name, address, tax note and amount stand on it; it arrived by mail.",
    )


def _gives_back(can: ProviderCapabilities) -> bool:
    return can.refund is not RefundSupport.NONE


def _lists_payouts(can: ProviderCapabilities) -> bool:
    return can.payouts


def _unable(desk: Desk | None, able: Callable[[ProviderCapabilities], bool]) -> tuple[list[str], bool]:
    """Return the providers of a library that are not *able*, and whether any other is left."""
    if desk is None:
        return [], True
    names = [name for name, provider in desk.providers.items() if not able(provider.capabilities())]
    return names, len(names) < len(desk.providers)


def _refunds(unit: Unit, library: str, zone: ZoneInfo, unable: tuple[list[str], bool]) -> Iterator[Item]:
    """Ask for a refund by the provider; where one gives nothing back, for an order to the treasury."""
    names, others = unable
    if names:
        yield Item(
            title="A refund went to the treasury, and its voucher closed the case",
            how=f"{', '.join(names)} gives nothing back: a refund opens a case, the treasury pays it out, "
            "and the case is closed with the number of the voucher.",
        )
    if not others:
        return
    back = milestones.last_refunded(unit, library)
    told = ""
    if back is not None:
        told = (
            f"{back.ended_at.astimezone(zone):%Y-%m-%d %H:%M} {back.receipt_number}, "
            f"{to_decimal(back.cents, back.currency)} {back.currency}, asked and approved"
        )
    yield Item(
        title="A refund went through two persons, and the provider has sent it",
        how="One person asks, another approves; the provider shows it, the fee is as it was meant.",
        seen=told,
        proven=bool(told),
    )


def _books(unit: Unit, library: str, zone: ZoneInfo, desk: Desk | None) -> Iterator[Item]:
    exports = journal.newest(unit, what="export", library=library, limit=1)
    told = ""
    if exports:
        facts = exports[0]["facts"]
        told = f"export {facts['number']}, {facts['first_day']} to {facts['last_day']}, {facts['rows']} rows"
    yield Item(
        title="The treasury has read an export into its own program",
        how="ils-payment export; the sums are those of the bank statement and of the library system.",
        seen=told,
    )
    names, others = _unable(desk, _lists_payouts)
    if names:
        yield Item(
            title="The treasury has found the money on the bank account by itself",
            how=f"{', '.join(names)} lists no payouts, so no export has them: the treasury compares the "
            "statement of the bank with the payments of an export.",
        )
    if others:
        yield Item(
            title="A payout is on the bank account",
            how="Its amount is that of the row 'payout' of an export.",
        )
    yield _reconciled(unit, library, zone, reach(desk)[1] if desk else [])
    for what, title, how in (
        ("backup", "A backup was taken and is kept on another host", "ils-payment backup FILE"),
        (
            "restore",
            "A backup was restored on a test machine",
            "ils-payment restore FILE, verify, reconcile; then throw the test machine away.",
        ),
        ("pause", "Pausing works", "ils-payment pause: patrons read a sentence; ils-payment resume."),
    ):
        yield Item(title=title, how=how, seen=_last(unit, what, zone))
    seals = journal.newest(unit, what="seal", limit=1)
    yield Item(
        title="Seals are kept outside of the database",
        how="The log with its lines 'sealed' goes to another host; ils-payment verify --seal HASH.",
        seen=f"seal {seals[0]['number']}: {seals[0]['hash']}" if seals else "",
    )


def _reconciled(unit: Unit, library: str, zone: ZoneInfo, beyond: Sequence[str]) -> Item:
    """Tell how the last comparison without a gap ended; what no program can compare leaves it to a person."""
    told, agrees = "", False
    for row in journal.newest(unit, what="reconciled", library=library, limit=1):
        facts = row["facts"]
        told = f"last on {row['at'].astimezone(zone):%Y-%m-%d %H:%M}, "
        # A comparison that an older version wrote down does not tell its sides.
        if facts.get("sides") == 0:
            told += "but nothing was compared"
        else:
            told += f"{facts['differences'] or 'no'} difference(s)"
            told += " as far as a program can compare" if facts.get("not_comparable") else ""
        agrees = not (facts["differences"] or facts.get("not_comparable") or beyond)
    how = "ils-payment reconcile exits with 0."
    if beyond:
        how += (
            f" No program can compare everything: {'; '.join(beyond)}. There a person compares the payments "
            "of some days (ils-payment payments list) with what the other side shows: the provider's portal "
            "or the bank's statement, the library system's own bookings."
        )
    return Item(title="Provider, ledger and library system agree", how=how, seen=told, proven=agrees)


def _last(unit: Unit, what: str, zone: ZoneInfo) -> str:
    at = journal.last_at(unit, what)
    return f"last on {at.astimezone(zone):%Y-%m-%d %H:%M}" if at else ""


def _by_hand() -> Iterator[Item]:
    for title, how in (
        (
            "Staff are told",
            "A mail about a case reached the staff's mailbox; somebody reads it each day.",
        ),
        ("Somebody is woken", "The alarms of the monitoring were tried: unsettled payments, open cases."),
        (
            "Roles are given",
            "Clerks, treasurer, auditor have accounts of their own, with a second factor.",
        ),
        (
            "Patrons are informed",
            "Privacy notice and accessibility statement are linked and approved.",
        ),
        ("The program was approved", "As the treasury's rules ask for; the approval is filed."),
    ):
        yield Item(title=title, how=how)
