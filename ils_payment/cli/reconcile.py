"""``ils-payment reconcile``: compare the ledger with provider and library system."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from ils_payment.cli.actor import typing
from ils_payment.cli.days import Day
from ils_payment.cli.export import named_library
from ils_payment.cli.output import instant, json_option, plain, print_json, print_table, say
from ils_payment.cli.rooms import whole_house, zone_of

if TYPE_CHECKING:
    from datetime import date, tzinfo
    from pathlib import Path

    from ils_payment.flows.comparison import Report
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House

DAYS = 3
"""So many days are compared again each time: a provider may list something late."""


@click.command()
@click.option("--library", help="Only this library (its key in the configuration).")
@click.option("--from", "first", type=Day(), metavar="DAY", help="First day, e.g. 2026-11-01.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="Last day; without it up to now.")
@click.option(
    "--by-hand",
    metavar="HOW",
    help="After a restore: who compared by hand what no program can, and with what.",
)
@json_option
@click.pass_context
def reconcile(
    context: click.Context,
    *,
    library: str | None,
    first: date | None,
    last: date | None,
    by_hand: str | None,
    as_json: bool,
) -> None:
    """Compare provider, ledger and library system; each difference becomes a case, once.

    Without days: from three days before the last complete comparison up to now. Exit code 0: all
    that a program can compare here agrees; 1: there are differences (old or new ones); 3: a side did not
    answer, or a restored ledger still waits for a comparison. A provider or library system that shows no
    lists is named each time and is no failure: a person compares with it.

    After a restore, a comparison without a gap of every library lets the program write again. Where a
    provider or the library system shows no lists, a person compares with their portal and says so: --by-hand.
    """
    from ils_payment.flows.reconcile import is_shut

    config: Path | None = context.obj
    with whole_house(config) as house:
        if by_hand is not None:
            _needs_a_person(by_hand, shut=is_shut(house))
        reports = _compare(house, library, (first, last), (by_hand or "").strip())
        shut = is_shut(house)
        zones = {one.library: zone_of(house, one.library) for one in reports}
    if as_json:
        print_json([plain(one) for one in reports])
    else:
        for report in reports:
            _print(report, zones[report.library])
        if shut:
            say(
                "The ledger stays shut. It opens when all libraries were compared without a gap, from before "
                "the oldest payment that was open in the backup: ils-payment reconcile (without days)"
            )
    if shut or any(report.gaps for report in reports):
        # Not 2, with which every mistyped command ends.
        context.exit(3)
    if any(report.differences for report in reports):
        context.exit(1)


def _needs_a_person(by_hand: str, *, shut: bool) -> None:
    """Refuse a word about a comparison by hand that says nothing, or that nobody waits for."""
    if not by_hand.strip():
        raise click.UsageError("--by-hand says who compared, and with what; it must not be empty.")
    if not shut:
        raise click.UsageError(
            "--by-hand is for a restored ledger that waits for a comparison; this one does not."
        )


def _compare(
    house: House, library: str | None, days: tuple[date | None, date | None], by_hand: str
) -> list[Report]:
    from ils_payment.flows.reconcile import reconcile as compare
    from ils_payment.flows.reconcile import release

    reports = []
    who = typing()
    # A day that is refused for one library is told before any other is compared.
    spans = [(desk, *_span(house, desk, *days)) for desk in _desks(house, library)]
    for desk, since, until in spans:
        reports.append(compare(house, desk, since, until, who))
    release(house, reports, who, by_hand=by_hand)
    return reports


def _desks(house: House, library: str | None) -> list[Desk]:
    return list(house.libraries.values()) if library is None else [named_library(house, library)]


def _span(house: House, desk: Desk, first: date | None, last: date | None) -> tuple[datetime, datetime]:
    """Return the instants of the asked days in the library's own time zone; of today only what is over."""
    from ils_payment.flows.reconcile import begin

    zone = desk.settings.zone
    now = house.world.now()
    today = desk.day_of(now)
    for option, day in (("--from", first), ("--to", last)):
        if day and day > today:
            raise click.UsageError(
                f"{option} {day} is in the future; in {desk.settings.time_zone} it is {today}."
            )
    until = datetime.combine(last + timedelta(days=1), time(), zone) if last else now
    since = datetime.combine(first, time(), zone) if first else begin(house, desk, DAYS)
    if since >= until:
        raise click.UsageError("--from must not be after --to.")
    return since.astimezone(UTC), min(until.astimezone(UTC), now)


def _print(report: Report, zone: tzinfo) -> None:
    say(f"{report.library}: {instant(report.since, zone)} to {instant(report.until, zone)}")
    if report.sides:
        counts = [f"{name.replace('_', ' ')} {number}" for name, number in sorted(report.counts.items())]
        # Where a side did not answer, nobody knows what there would have been.
        told = ", ".join(counts) or ("nothing" if report.gaps else "there was nothing to compare")
        say(f"  compared with {' and '.join(report.sides)}: {told}")
    else:
        say("  NOTHING WAS COMPARED: neither a provider nor the library system shows lists.")
    for gap in report.gaps:
        say(f"  NOT COMPARED: {gap}")
    for one in report.beyond:
        say(f"  NO PROGRAM CAN COMPARE: {one}; a person has to.")
    if not report.sides:
        return
    whole = not report.gaps and not report.beyond
    print_table(
        ("Difference", "Payment", "About", "Case"),
        [
            (one.kind, one.payment_id or "-", one.subject, "new" if one.new else "known")
            for one in report.differences
        ],
        empty="  No differences." if whole else "  No differences as far as it was compared.",
    )
