"""``ils-payment check``: tests every connection, right and capability, and says what to do."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import click

from ils_payment.cli.arrival_findings import of_arrival
from ils_payment.cli.booking_findings import of_accounts, of_booking
from ils_payment.cli.house_findings import of_pause, of_providers, of_staff
from ils_payment.cli.method_findings import of_methods
from ils_payment.cli.output import json_option, print_json, print_table
from ils_payment.cli.reminder_findings import of_reminders
from ils_payment.cli.rooms import database_errors, known_library, prove_writable
from ils_payment.cli.runners import runner_of
from ils_payment.errors import ConfigurationError, ILSPaymentError
from ils_payment.flows.house import open_desk, open_store, refuse_missing, refuse_strangers
from ils_payment.loading import check_live, check_plugin_tables, config_path, load_settings
from ils_payment.model import Finding, Level
from ils_payment.plugins import Plugins
from ils_payment.store import books, patrons
from ils_payment.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta
    from pathlib import Path

    import requests

    from ils_payment.config import Settings
    from ils_payment.flows.desk import Desk
    from ils_payment.ports import ELendingPlatform, LibrarySystem, PaymentProvider

    Checked = ELendingPlatform | LibrarySystem | PaymentProvider

CLOCK_WARNING = 5.0
"""A clock that differs by more seconds from what others say is told."""

CLOCK_ERROR = 120.0
"""Signed links live 120 s, webhooks are refused beyond 300 s: a clock so wrong breaks both."""

LIVE = "live mode"
"""The subject of the finding about a library whose keys take real money."""


@dataclass(frozen=True, slots=True)
class Row:
    """One finding with the part of the installation that it is about; empty for the whole."""

    part: str
    finding: Finding


@click.command()
@click.option("--library", metavar="KEY", help="Test this library only.")
@click.option("--live", is_flag=True, help="Print the list for going live instead of the table.")
@json_option
@click.pass_obj
def check(config: Path | None, library: str | None, *, live: bool, as_json: bool) -> None:
    """Test configuration, plugins, database, mail server and clock; no money moves.

    Exits 1 when there is an error; a warning alone is exit 0.
    """
    desks: dict[str, Desk] = {}
    rows = list(_everything(config, library, desks))
    if live:
        from ils_payment.cli.golive import print_checklist

        real = {row.part for row in rows if row.finding.subject == LIVE and row.finding.level is Level.OK}
        print_checklist(config, library, _ended(rows), real, desks, as_json=as_json)
    elif as_json:
        print_json([_flat(row) for row in rows])
    else:
        print_table(
            ("Part", "Result", "Subject", "Seen", "What to do"),
            [
                (row.part, row.finding.level, row.finding.subject, row.finding.seen, row.finding.mend)
                for row in rows
            ],
            empty="Nothing was tested.",
        )
    if any(row.finding.level is Level.ERROR for row in rows):
        sys.exit(1)


def _ended(rows: list[Row]) -> str:
    """Say how the tests ended; empty when there is an error."""
    levels = [row.finding.level for row in rows]
    if Level.ERROR in levels:
        return ""
    return f"no error, {levels.count(Level.WARNING)} warning(s), {levels.count(Level.OK)} times ok"


def _flat(row: Row) -> dict[str, str]:
    found = row.finding
    return {
        "part": row.part,
        "level": found.level.value,
        "subject": found.subject,
        "seen": found.seen,
        "mend": found.mend,
    }


@dataclass
class Ledger:
    """What the ledger knows of each library: empty where it cannot be read."""

    paid: dict[str, set[str]] = field(default_factory=dict)
    """The fee kinds that were paid."""
    patrons: dict[str, list[str]] = field(default_factory=dict)
    """The names of the library systems whose patrons have payments that go on."""


def _everything(config: Path | None, library: str | None, desks: dict[str, Desk]) -> Iterator[Row]:
    """Test one part after the other; a part that fails does not hide the next.

    The libraries whose plugins can be loaded come into *desks*.
    """
    try:
        settings = load_settings(config)
        plugins = Plugins(settings.plugin_names())
        check_plugin_tables(settings, plugins)
    except ILSPaymentError as error:
        yield Row("", _failed("configuration", error))
        return
    known_library(settings, library)
    yield Row("", Finding(Level.OK, "configuration", f"{config_path(config)} is complete"))
    world = WatchingWorld(ca_bundle=settings.server.ca_bundle, mail=settings.mail)
    ledger = Ledger()
    for finding in (*_database(settings, world, ledger), _mail(settings, world), *of_staff(settings)):
        yield Row("", finding)
    for key in [library] if library else settings.libraries:
        try:
            desk = desks[key] = open_desk(key, settings.libraries[key], plugins, world)
        except ILSPaymentError as error:
            yield Row(key, _failed("plugins", error))
            continue
        yield from _desk(settings, desk)
        yield from _patrons(desk, ledger.patrons.get(key, ()))
        today = desk.day_of(world.now())
        yield from (Row(key, one) for one in of_accounts(desk, ledger.paid.get(key, ()), today))
    if desks:
        yield Row("", _clock(world.skews))


def _desk(settings: Settings, desk: Desk) -> Iterator[Row]:
    """Test the plugins of one library, and whether it may take real money if its keys are live."""
    parts: list[tuple[str, Checked]] = [(f"{desk.key}: library system", desk.system)]
    parts += [(f"{desk.key}: {name}", provider) for name, provider in desk.providers.items()]
    parts += [(f"{desk.key}: {name}", platform) for name, platform in desk.elending.items()]
    for part, plugin in parts:
        for finding in _asked(plugin):
            yield Row(part, finding)
    for findings in (of_arrival(desk), of_booking(desk), of_methods(desk), of_reminders(desk)):
        yield from (Row(desk.key, finding) for finding in findings)
    try:
        check_live(settings, {desk.key} if desk.live else set())
    except ConfigurationError as error:
        yield Row(desk.key, _failed(LIVE, error))
        return
    if desk.live:
        yield Row(desk.key, Finding(Level.OK, LIVE, "real money; everything that the pages need is there"))
        return
    cards = len(desk.settings.test_cards)
    seen = f"test keys: no money moves; {cards or 'no'} card(s) in test_cards can pay"
    yield Row(
        desk.key,
        Finding(Level.OK, "test mode", seen)
        if cards
        else Finding(
            Level.WARNING, "test mode", seen, f"Name a card of your own in libraries.{desk.key}.test_cards."
        ),
    )


def _asked(plugin: Checked) -> list[Finding]:
    try:
        return plugin.check()
    except Exception as error:  # noqa: BLE001 - a stranger's code; its fault is a finding like any other
        seen = f"the plugin's own check failed: {type(error).__name__}"
        return [Finding(Level.ERROR, "plugin", seen, "Report this to the author of the plugin.")]


def _database(settings: Settings, world: World, ledger: Ledger) -> list[Finding]:
    """Test the database; what it knows of each library comes into *ledger*."""
    try:
        with database_errors(settings), closing(open_store(settings, world)) as store:
            store.check()
            prove_writable(store, settings)
            runner_of(settings).check()
            with store.read() as unit:
                state = list(of_pause(unit))
                state += _missing(
                    settings, patrons.libraries(unit, going_on=True), patrons.libraries(unit, going_on=False)
                )
                state += of_providers(settings, unit)
                for key in settings.libraries:
                    ledger.paid[key] = books.paid_kinds(unit, key)
                    ledger.patrons[key] = patrons.known_as(unit, key)
    except ILSPaymentError as error:
        return [_failed("database", error)]
    seen = "the schema is this version's, every trigger is there, and it can be written"
    return [Finding(Level.OK, "database", seen), *state]


def _missing(settings: Settings, going_on: list[str], known: list[str]) -> Iterator[Finding]:
    """Tell of libraries that have payments in the ledger, and no table in the configuration."""
    try:
        refuse_missing(settings.libraries, going_on)
    except ConfigurationError as error:
        yield _failed("libraries", error)
    for key in known:
        if key not in settings.libraries and key not in going_on:
            seen = f"the ledger has payments of {key}, and the configuration has no [libraries.{key}]"
            mend = "Without it their days cannot be exported, and nothing can be refunded: keep the table."
            yield Finding(Level.WARNING, "libraries", seen, mend)


def _patrons(desk: Desk, known: Iterable[str]) -> Iterator[Row]:
    """Tell of payments whose patrons another library system knows by their ids."""
    try:
        refuse_strangers(desk, known)
    except ConfigurationError as error:
        yield Row(desk.key, _failed("patrons", error))


def _mail(settings: Settings, world: World) -> Finding:
    """Read the mail server's greeting. Nothing is sent."""
    if settings.mail is None:
        mend = "Add the table [mail]; without it nobody is told of cases."
        return Finding(Level.WARNING, "mail server", "none is configured", mend)
    place = f"{settings.mail.host}:{settings.mail.port}"
    try:
        with world.connect((settings.mail.host, settings.mail.port), deadline=10.0) as connection:
            # A server that speaks TLS from the first byte greets only after the handshake.
            greeting = b"220" if settings.mail.security == "tls" else connection.recv(512)
    except OSError as error:
        seen = f"{place} cannot be reached: {error.strerror or type(error).__name__}"
        return Finding(Level.ERROR, "mail server", seen, "Look at mail.host, mail.port and the firewall.")
    if not greeting.startswith(b"220"):
        return Finding(
            Level.ERROR, "mail server", f"{place} is no mail server", "Look at mail.host and mail.port."
        )
    return Finding(Level.OK, "mail server", f"{place} answers")


def _clock(skews: list[timedelta]) -> Finding:
    """Compare our clock with the Date headers of everybody who answered; the median decides."""
    if not skews:
        mend = "Mend the connections above first."
        return Finding(Level.WARNING, "clock", "nobody answered whom it could be compared with", mend)
    skew = sorted(skews, key=abs)[len(skews) // 2].total_seconds()
    seen = f"differs by {abs(skew):.0f} s from what {len(skews)} answer(s) said"
    if abs(skew) <= CLOCK_WARNING:
        return Finding(Level.OK, "clock", seen)
    level = Level.ERROR if abs(skew) > CLOCK_ERROR else Level.WARNING
    return Finding(level, "clock", seen, "Type: timedatectl set-ntp true")


def _failed(subject: str, error: ILSPaymentError) -> Finding:
    return Finding(Level.ERROR, subject, error.what, error.mend)


class WatchingWorld(World):
    """The real world, which notes how far our clock is from that of everybody who answers."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - World's own arguments
        super().__init__(**kwargs)
        self.skews: list[timedelta] = []

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return a session that looks at the Date header of each answer."""
        session = super().session(deadline=deadline, max_bytes=max_bytes)
        session.hooks["response"].append(self._look)
        return session

    def _look(self, response: requests.Response, *_: object, **__: object) -> None:
        try:
            said = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        self.skews.append(self.now() - said)
