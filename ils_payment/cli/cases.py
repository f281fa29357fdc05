"""``ils-payment cases``: what a person must decide, and deciding it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.output import instant, json_option, plain, print_json, print_table, say
from ils_payment.cli.payments import NoSuchRecordError, amount, print_whereabouts
from ils_payment.cli.refunds import MEANINGS, decided, line_ids, only_lines
from ils_payment.cli.rooms import known_library, ledger, whole_house, zone_of
from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import case_words, decide, inbox
from ils_payment.flows import show as records
from ils_payment.flows.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ils_payment.flows.house import House
    from ils_payment.flows.views import CaseView

CHOICES = [str(one).replace("_", "-") for one in Choice]


@click.group()
def cases() -> None:
    """List what a person must decide, show one case and whose it is, or decide it."""


@cases.command("list")
@click.option("--all", "closed_too", is_flag=True, help="Closed cases too.")
@click.option(
    "--new", "only_new", is_flag=True, help="Only cases of the last 24 hours; exit 1 if there are any."
)
@click.option("--library", help="Only this library (its key in the configuration).")
@json_option
@click.pass_context
def list_cases(
    context: click.Context, *, closed_too: bool, only_new: bool, library: str | None, as_json: bool
) -> None:
    """List open cases, the oldest first."""
    config: Path | None = context.obj
    with ledger(config) as house:
        known_library(house.settings, library)
        found = records.case_list(house, open_only=not closed_too, library=library, only_new=only_new)
        zones = {one.library: zone_of(house, one.library) for one in found}
    if as_json:
        print_json(found)
    else:
        print_table(
            ("Case", "Library", "Kind", "Amount", "Payment", "Opened", "Closed"),
            [
                (
                    one.case_id,
                    one.library,
                    one.kind,
                    _amount(one),
                    one.payment_id or "-",
                    instant(one.opened_at, zones[one.library]),
                    instant(one.closed_at, zones[one.library]),
                )
                for one in found
            ],
            empty="There is no case." if closed_too else "There is no open case.",
        )
    if only_new and found:
        context.exit(1)


def _choices(house: House, found: CaseView) -> Sequence[Choice]:
    if found.payment_id is None:
        return decide.ORPHAN_CHOICES
    return decide.choices(house, found.payment_id, found.case_id)


@cases.command("show")
@click.argument("case_id")
@json_option
@click.pass_obj
def show_case(config: Path | None, case_id: str, *, as_json: bool) -> None:
    """Show one case with its facts, what to do, and what can be decided."""
    with ledger(config) as house:
        found = records.case(house, case_id)
        if found is None:
            raise _no_such_case(case_id)
        where = records.whereabouts(house, found.payment_id) if found.payment_id else None
        can = _choices(house, found)
        given = records.refunds_of(house, found.payment_id) if found.payment_id else ()
        waiting = [one for one in given if one.state == "asked"]
        said = inbox.said(house, found)
        lines = records.line_ids(house, found.payment_id) if found.payment_id else ()
        zone = zone_of(house, found.library)
    if as_json:
        more = {"whereabouts": plain(where) if where else None, "choices": [] if found.closed_at else can}
        print_json({**plain(found), **more, "decisions": [plain(one) for one in said]})
        return
    closed = f"closed {instant(found.closed_at, zone)} by {found.closed_by}: {found.resolution}"
    say(
        f"Case {found.case_id} of {found.library}: {found.kind}, {closed if found.closed_at else 'open'}, "
        f"version {found.version}"
    )
    if found.payment_id:
        say(f"Payment {found.payment_id}, {found.state}, {_amount(found)}")
    if where is not None:
        print_whereabouts(where)
    print_table(
        ("Fact", "Value"),
        [(name, _fact(name, value, found.currency, lines)) for name, value in found.facts.items()],
        empty="No facts.",
    )
    for word in said:
        booked = f", {word.reference}" if word.reference else ""
        say(f"{word.actor}, {instant(word.at, zone)}{booked}: {word.reason or '(erased)'}")
    for refund in waiting:
        say(
            f"{refund.asked_by} asked for a refund of {amount(refund.cents, refund.currency)}; it waits for "
            f"a second person: ils-payment refunds approve {refund.refund_id} (or withdraw). "
            f"Reason: {refund.reason or '(erased)'}"
        )
    for sentence in case_words.of_kind(found.kind, "en"):
        say(sentence)
    if not found.closed_at:
        say("What can be decided now:")
        for one in can:
            choice = str(one).replace("_", "-")
            options = "".join(f" {more}" for more in _OPTIONS.get(choice, ()))
            say(
                f"  ils-payment cases resolve {found.case_id} {choice} --version {found.version}{options} "
                '--reason "..."'
            )


_OPTIONS = {
    "booked-by-hand": ('--reference "receipt 4711"',),
    "refunded-outside": ('--reference "voucher 12"',),
    "refund": ("--meaning double-payment|fee-dropped|fee-stays",),
}
_CENTS = frozenset(
    {"balance", "beyond", "captured", "cents", "ledger", "listed", "order", "promised", "unapplied"}
)


def _fact(name: str, value: object, currency: str | None, lines: Sequence[str]) -> str:
    """Write one fact for a person: cents as an amount, lines as --line numbers them."""
    if name == "lines" and isinstance(value, list):
        return ", ".join(str(lines.index(one) + 1 if one else 0) for one in value)
    if name in _CENTS and isinstance(value, int) and currency:
        return amount(value, currency)
    return str(value)


@cases.command("resolve")
@click.argument("case_id")
@click.argument("choice", type=click.Choice(CHOICES))
@click.option("--version", type=int, required=True, help="The version that `cases show` told.")
@click.option("--reason", required=True, help="Why; kept privately, the books hold a digest of it.")
@click.option("--reference", default="", help="Number of the booking or voucher, where one is needed.")
@click.option("--meaning", type=click.Choice(MEANINGS), help="What a refund says about the fee.")
@only_lines
@json_option
@click.pass_obj
def resolve_case(  # noqa: PLR0913 - click hands over each option by its name
    config: Path | None,
    case_id: str,
    *,
    choice: str,
    version: int,
    reason: str,
    reference: str,
    meaning: str | None,
    lines: tuple[int, ...],
    as_json: bool,
) -> None:
    """Decide a case: settle it again, say how it was booked by hand, or give the money back."""
    with whole_house(config) as house:
        found = records.case(house, case_id)
        if found is None:
            raise _no_such_case(case_id)
        answer = decide.resolve(
            house,
            typing(),
            case_id,
            version,
            Decision(
                choice=Choice(choice.replace("-", "_")),
                reason=reason,
                reference=reference,
                meaning=Meaning(meaning.replace("-", "_")) if meaning else None,
                lines=line_ids(house, found.payment_id, lines),
            ),
        )
        decided(answer, as_json=as_json)


def _amount(case: CaseView) -> str:
    return amount(case.cents, case.currency) if case.cents is not None and case.currency else "-"


def _no_such_case(case_id: str) -> NoSuchRecordError:
    return NoSuchRecordError(f"There is no case {case_id!r}.", mend="Type: ils-payment cases list --all")
