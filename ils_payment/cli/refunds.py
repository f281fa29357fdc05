"""``ils-payment refunds``: ask for a refund, approve or withdraw one, list those that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.output import instant, json_option, plain, print_json, print_table
from ils_payment.cli.payments import NoSuchRecordError, amount
from ils_payment.cli.rooms import known_library, ledger, whole_house, zone_of
from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import decide
from ils_payment.flows import show as records
from ils_payment.flows.decision import Decision

if TYPE_CHECKING:
    from pathlib import Path

    from ils_payment.flows.decision import Decided
    from ils_payment.flows.house import House

MEANINGS = [str(one).replace("_", "-") for one in Meaning]

only_lines = click.option(
    "--line",
    "lines",
    multiple=True,
    type=int,
    help="Only this line (1, 2, ..., or 0 for money that belongs to no line); may be repeated.",
)

_SAID = {
    "done": "Done.",
    "treasury": "The provider gives nothing back, so the treasury pays: ils-payment cases list names the "
    "case. Close it with refunded-outside and the number of the voucher.",
    "second_person": "Reserved. A second person must approve it: ils-payment refunds approve {refund}",
}
_REFUSED = {
    "conflict": (
        "Somebody else decided first.",
        "Look again: ils-payment cases show CASE, or refunds show REFUND",
    ),
    "busy": ("The payment is being worked on.", "Try again in a moment."),
    "too_early": (
        "A settle call may still take effect in the library system.",
        "Try again when the quarantine ([libraries.x.settle] quarantine_minutes) is over.",
    ),
    "not_possible": (
        "This decision does not fit the payment as it stands.",
        "ils-payment cases show CASE names what is possible.",
    ),
    "no_reason": ("A decision needs a reason.", "Give it with --reason."),
    "no_reference": ("This decision needs a reference.", "Give the number of the booking or voucher."),
    "no_meaning": ("A refund must say what becomes of the fee.", f"Add --meaning: {', '.join(MEANINGS)}."),
    "no_choice": (
        "Nothing of this payment waits for the case, so nobody can tell what the treasury paid out.",
        "Name it with --line. Money that went back at the provider is in the books already: no-action.",
    ),
    "no_debt": (
        "The fee of a card cannot stay: its debit is not in the library system, so nothing would be owed.",
        "Take --meaning fee-dropped; what is owed all the same is charged there by hand.",
    ),
    "nothing_left": (
        "Nothing is left to give back.",
        "ils-payment payments show PAYMENT tells what was given back already.",
    ),
    "provider_cannot": (
        "The provider cannot give this back (or only the whole).",
        "Let the treasury pay it, and close the case with refunded-outside.",
    ),
    "same_person": ("Who asked for a refund cannot approve it.", "Let a second person do it."),
}


class NotDecidedError(ILSPaymentError):
    """A decision was refused; nothing was changed."""


@click.group()
def refunds() -> None:
    """Give money back: ask, approve or withdraw, and see what waits."""


@refunds.command("list")
@click.option("--library", help="Only this library (its key in the configuration).")
@json_option
@click.pass_obj
def list_refunds(config: Path | None, *, library: str | None, as_json: bool) -> None:
    """List the refunds that wait for a second person."""
    with ledger(config) as house:
        known_library(house.settings, library)
        found = records.refunds_asked(house, library=library)
        zones = {one.library: zone_of(house, one.library) for one in found}
    if as_json:
        print_json([plain(one) for one in found])
        return
    print_table(
        ("Refund", "Payment", "Amount", "Meaning", "Reason", "Asked by", "Asked"),
        [
            (
                one.refund_id,
                one.number,
                amount(one.cents, one.currency),
                one.meaning,
                one.reason or "(erased)",
                one.asked_by,
                instant(one.asked_at, zones[one.library]),
            )
            for one in found
        ],
        empty="No refund waits for a second person.",
    )


@refunds.command("show")
@click.argument("refund_id", metavar="REFUND")
@json_option
@click.pass_obj
def show_refund(config: Path | None, refund_id: str, *, as_json: bool) -> None:
    """Show one refund or chargeback: what goes back, who wanted it and why, and how far it is."""
    with ledger(config) as house:
        found = records.refund(house, refund_id)
        if found is None:
            raise _no_such_refund(refund_id)
        zone = zone_of(house, found.library)
    if as_json:
        print_json(plain(found))
        return
    told = (
        ("Refund", f"{found.refund_id} ({found.kind}) of {found.library}"),
        ("Payment", f"{found.number}, {found.payment_id}"),
        ("Amount", amount(found.cents, found.currency)),
        ("State", found.state),
        ("Meaning", found.meaning),
        ("Asked by", f"{found.asked_by}, {instant(found.asked_at, zone)}"),
        ("Reason", found.reason or ""),
        ("Against it", found.reason_against or ""),
        ("Decided by", found.approved_by or ""),
        ("Ended", instant(found.ended_at, zone)),
        ("Case", found.case_id or ""),
        ("Owed again", found.charge_state if found.charge_state != "none" else ""),
    )
    print_table(("What", "Told"), [one for one in told if one[1]], empty="")


@refunds.command("ask")
@click.argument("payment")
@click.option("--meaning", type=click.Choice(MEANINGS), required=True, help="What it says about the fee.")
@click.option("--reason", required=True, help="Why; kept privately, the books hold a digest of it.")
@only_lines
@json_option
@click.pass_obj
def ask(
    config: Path | None, payment: str, *, meaning: str, reason: str, lines: tuple[int, ...], as_json: bool
) -> None:
    """Ask for the refund of a payment (its id or receipt number), whole or of some lines."""
    with whole_house(config) as house:
        found = records.named(house, payment)
        if found is None:
            raise NoSuchRecordError(
                f"There is no payment {payment!r}.", mend="Type: ils-payment payments list"
            )
        answer = decide.refund(
            house,
            typing(),
            found.payment_id,
            Decision(
                choice=Choice.REFUND,
                reason=reason,
                meaning=Meaning(meaning.replace("-", "_")),
                lines=line_ids(house, found.payment_id, lines),
            ),
        )
        if answer.code in {"not_possible", "nothing_left"}:
            # Nothing else stands against a refund, and there need not be a case to look at.
            what, mend = _REFUSED["nothing_left"]
            raise NotDecidedError(what, mend=mend.replace("PAYMENT", payment))
        decided(answer, as_json=as_json)


@refunds.command("approve")
@click.argument("refund_id")
@json_option
@click.pass_obj
def approve(config: Path | None, refund_id: str, *, as_json: bool) -> None:
    """Approve a refund that another person asked for; it is sent at once."""
    with whole_house(config) as house:
        try:
            answer = decide.approve(house, typing(), refund_id)
        except LookupError:
            raise _no_such_refund(refund_id) from None
        decided(answer, as_json=as_json)


@refunds.command("withdraw")
@click.argument("refund_id")
@click.option("--reason", required=True, help="Why not.")
@json_option
@click.pass_obj
def withdraw(config: Path | None, refund_id: str, *, reason: str, as_json: bool) -> None:
    """Take back, or do not approve, a refund that waits for a second person."""
    with whole_house(config) as house:
        try:
            answer = decide.withdraw(house, typing(), refund_id, reason)
        except LookupError:
            raise _no_such_refund(refund_id) from None
        decided(answer, as_json=as_json)


def decided(answer: Decided, *, as_json: bool) -> None:
    """Say what became of a decision; NotDecidedError when it was refused."""
    if not answer.ok:
        what, mend = _REFUSED[answer.code]
        raise NotDecidedError(what, mend=mend)
    if as_json:
        print_json(plain(answer))
    else:
        click.echo(_SAID[answer.code].format(refund=answer.refund_id))


def line_ids(house: House, payment_id: str | None, numbers: tuple[int, ...]) -> tuple[str | None, ...] | None:
    """Return the ids of the numbered lines of a payment, None where no number was given; 0 is no line."""
    if not numbers or payment_id is None:
        return None
    known = records.line_ids(house, payment_id)
    if not all(0 <= number <= len(known) for number in numbers):
        raise click.UsageError(f"This payment has the lines 1 to {len(known)}; 0 is money of no line.")
    return tuple(known[number - 1] if number else None for number in numbers)


def _no_such_refund(refund_id: str) -> NoSuchRecordError:
    return NoSuchRecordError(f"There is no refund {refund_id!r}.", mend="Type: ils-payment refunds list")
