"""``ils-payment elending``: what eLending platforms say of a patron, asked from the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.export import named_library
from ils_payment.cli.output import json_option, print_json, print_table
from ils_payment.cli.rooms import whole_house
from ils_payment.errors import ConfigurationError, RemoteAbsentError, RemoteError

if TYPE_CHECKING:
    from pathlib import Path

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef


@click.group()
def elending() -> None:
    """Ask eLending platforms about a patron."""


@elending.command()
@click.option("--library", metavar="KEY", required=True, help="The library whose platforms are asked.")
@click.option("--card", metavar="NUMBER", required=True, help="The patron's card number.")
@json_option
@click.pass_obj
def ask(config: Path | None, library: str, card: str, *, as_json: bool) -> None:
    """Ask each platform whether it lends to a patron, and what hinders.

    Asks for the PIN where a platform needs one; without a PIN (press Enter) the answer is derived from
    the library system, and the table says so. Nothing is kept.
    """
    with whole_house(config) as house:
        desk = named_library(house, library)
        if not desk.elending:
            known = ", ".join(key for key, one in house.libraries.items() if one.elending) or "none"
            raise ConfigurationError(
                f"libraries.{library} has no eLending platform.", mend=f"These have one: {known}."
            )
        patron = desk.system.find_patron(card)
        if patron is None:
            raise RemoteAbsentError("The library system has no such card.", mend="Look at the number again.")
        told = _answers(house, desk, patron)
    if as_json:
        print_json(told)
        return
    print_table(
        ("Platform", "Verdict", "Asked", "Code", "What hinders: who lifts it"),
        [
            (
                one["platform"],
                one["verdict"],
                "yes" if one["asked"] else "no, derived",
                one["code"],
                one["reason"] or ", ".join(f"{what}: {who}" for what, who in one["hindrances"]) or "nothing",
            )
            for one in told
        ],
        empty="No platform was asked.",
    )


def _answers(house: House, desk: Desk, patron: PatronRef) -> list[dict[str, Any]]:
    """Ask one platform after the other; one that cannot be asked hides no other."""
    from ils_payment.flows.unblock import ask_now

    pin = None
    if any(platform.capabilities().needs_pin for platform in desk.elending.values()):
        pin = click.prompt("PIN", hide_input=True, default="", show_default=False, err=True) or None
    told = []
    for name, platform in desk.elending.items():
        row: dict[str, Any] = {"platform": name, "name": platform.capabilities().name}
        try:
            answer = ask_now(house, desk, patron, name, pin)
        except RemoteError as error:
            nothing = {"verdict": "cannot_tell", "asked": False, "code": "", "hindrances": []}
            told.append({**row, **nothing, "reason": str(error)})
            continue
        hindrances = [[one.kind, one.lifted_by] for one in answer.hindrances]
        told.append(
            {
                **row,
                "verdict": str(answer.verdict),
                "asked": answer.asked,
                "code": answer.code,
                "hindrances": hindrances,
                "reason": answer.reason,
            }
        )
    return told
