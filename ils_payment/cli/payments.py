"""``ils-payment payments``: what the ledger knows of payments. Reads only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.output import instant, json_option, plain, print_json, print_table, say
from ils_payment.cli.rooms import known_library, ledger, zone_of
from ils_payment.errors import ILSPaymentError
from ils_payment.flows import show as records
from ils_payment.model import State
from ils_payment.money import to_decimal
from ils_payment.store import chain

if TYPE_CHECKING:
    from pathlib import Path

    from ils_payment.flows.views import PaymentView, Whereabouts


class NoSuchRecordError(ILSPaymentError):
    """There is no payment or case with this id."""


@click.group()
def payments() -> None:
    """List payments, or show one with its history."""


@payments.command("list")
@click.option("--library", metavar="KEY", help="Only this library.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only this state.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="So many at most."
)
@json_option
@click.pass_obj
def list_payments(
    config: Path | None, library: str | None, state: str | None, limit: int, *, as_json: bool
) -> None:
    """List the newest payments."""
    with ledger(config) as house:
        known_library(house.settings, library)
        found = records.newest(house, library=library, state=state, limit=limit)
        zones = {one.library: zone_of(house, one.library) for one in found}
    if as_json:
        print_json([_public(one) for one in found])
        return
    print_table(
        ("Payment", "Number", "Library", "State", "Amount", "Method", "Created", "Settled"),
        [
            (
                one.payment_id,
                one.number,
                one.library,
                _state(one),
                amount(one.cents, one.currency),
                one.method,
                instant(one.created_at, zones[one.library]),
                instant(one.settled_at, zones[one.library]),
            )
            for one in found
        ],
        empty="There are no payments (of this kind).",
    )


@payments.command("show")
@click.argument("payment", metavar="PAYMENT")
@json_option
@click.pass_obj
def show_payment(config: Path | None, payment: str, *, as_json: bool) -> None:
    """Show one payment: its lines, its audit trail, and whether the trail's hashes hold.

    PAYMENT is its id, or the number on the receipt (ILSP-7K3M9Q-4), which is the marker in the
    library system too.
    """
    with ledger(config) as house:
        found = records.named(house, payment)
        if found is None:
            raise NoSuchRecordError(
                f"There is no payment {payment!r}.", mend="Type: ils-payment payments list"
            )
        with house.store.read() as unit:
            trail = chain.read_audit(unit, found.payment_id)
            broken = chain.broken_at(unit, found.payment_id)
        where = records.whereabouts(house, found.payment_id)
        zone = zone_of(house, found.library)
    history = [{**row, "facts": json.loads(row["facts"])} for row in trail]
    if as_json:
        told = {"whereabouts": plain(where), "history": history, "chain_broken_at": broken}
        print_json({**_public(found), **told})
        return
    say(f"Payment {found.payment_id} of {found.library}: {_state(found)}{', test' if found.test else ''}")
    say(f"Amount  {amount(found.cents, found.currency)} by {found.method} through {found.provider}")
    say(f"Number  {found.number}")
    print_whereabouts(where)
    rows = [(one.kind, one.text or "(erased)", amount(one.cents, found.currency)) for one in found.lines]
    print_table(("Kind", "Text", "Amount"), rows, empty="It has no lines.")
    steps = [(instant(row["at"], zone), row["what"], row["state"], _facts(row["facts"])) for row in history]
    print_table(("At", "What", "State", "Facts"), steps, empty="It has no history.")
    sound = (
        "The hashes of this history hold." if broken is None else f"THE HISTORY WAS CHANGED at row {broken}."
    )
    say(sound)


def print_whereabouts(where: Whereabouts) -> None:
    """Say where to look in the other systems; what is empty is left out."""
    system = f"the library system {where.library_system}" if where.patron else "the library system"
    say(f"Patron  {where.patron or '(erased)'} in {system} (Koha: borrowernumber)")
    for name, found in (("Fees", where.fees), ("Credits", where.credits)):
        if found:
            say(f"{name:7} {', '.join(found)} in the library system")
    if where.session:
        say(f"Session {where.session} at the provider")


def _public(view: PaymentView) -> dict[str, Any]:
    """Return a payment as JSON types, without the address under which its payer pays."""
    told: dict[str, Any] = plain(view)
    del told["continue_url"], told["can_cancel"]
    return told


def _state(view: PaymentView) -> str:
    reason = f" ({view.void_reason})" if view.void_reason else ""
    return f"{view.state}{reason}{', held' if view.held else ''}"


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in facts.items())


def amount(cents: int, currency: str) -> str:
    """Write an amount for the terminal, e.g. ``12.50 EUR``."""
    return f"{to_decimal(cents, currency)} {currency}"
