"""``make crowd``: eight workers, ten thousand notices, each delivered three times; each is settled once.

``NOTICES=10000`` payments stand in a ledger on PostgreSQL with their sessions at the provider, all
of them paid. Then every notice comes three times over HTTP, in a mixed order, through the
real intake of one ``serve``, and eight real ``worker`` processes read the provider and settle in the
library system. Nobody dies here, so the database may spare its waits for the disk. The payments are not
due by themselves within the hour: a lost notice would show.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_koha.simulator.state import Line, Tables
from ils_payment_stripe.simulator import StripeSimulator

from ils_payment.flows.desk import Desk
from ils_payment.flows.house import House, open_house
from ils_payment.flows.observe import record_start
from ils_payment.loading import load_settings
from ils_payment.model import Attempt, AttemptLine, PatronRef, Started
from ils_payment.store import attempts, orders, patrons, payments
from ils_payment.store.records import Line as PaymentLine
from ils_payment.testing.world import _InProcess
from ils_payment.world import World
from tests.faults import kill_checks
from tests.faults.kill_databases import PostgreSQL
from tests.faults.kill_town import LIBRARY, PIN, Town

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.store.unit import Unit

WORKERS = 8
COPIES = 3
BATCH = 200
PATIENCE = 2400.0


class _Sorted(dict[int, Line]):
    """Account lines that can be found by patron without looking at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[int, list[Line]] = {}

    def __setitem__(self, key: int, line: Line) -> None:
        super().__setitem__(key, line)
        self.of.setdefault(line.patron_id, []).append(line)


class _QuickTables(Tables):
    def lines_of(self, patron_id: int) -> list[Line]:
        assert isinstance(self.lines, _Sorted)
        return list(self.lines.of.get(patron_id, ()))


class QuickKoha(KohaSimulator):
    """The simulated Koha for a large town; it never forgets a line, so an index needs no upkeep."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Whoever has the tables already has this very object.
        self.tables.__class__ = _QuickTables
        self.tables.lines = _Sorted()


class QuickStripe(StripeSimulator):
    """The simulated Stripe whose sessions do not expire while we look: else each request asks all of them."""

    def expire_due(self) -> None:
        """Let them live."""


class CrowdedTown(Town):
    """One ``serve`` for the notices and eight ``worker``, with the product's own patience."""

    koha_kind, stripe_kind = QuickKoha, QuickStripe
    haste = ()

    def kinds(self) -> list[str]:
        """Return what runs."""
        return ["serve"] + ["worker"] * WORKERS


class NearWorld(World):
    """The real world, with both remotes in this process: preparing needs no HTTP."""

    def __init__(self, town: Town) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []
        self.remotes = {
            urlsplit(address).netloc: remote
            for address, remote in zip(town.remotes, (town.koha, town.stripe), strict=True)
        }

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return a session whose requests end in the simulators."""
        session = requests.Session()
        session.mount("http://", _InProcess(self))  # type: ignore[arg-type]  # it has what is needed of one
        return session


def prepare(town: Town, count: int) -> None:
    """Write *count* open payments with paid sessions, through the store's own functions."""
    # Who asks in this process names no host.
    town.stripe.public_url = town.remotes[1]
    house = open_house(load_settings(town.config(town.processes[0])), NearWorld(town))
    with closing(house):
        desk = house.libraries[LIBRARY]
        for first in range(0, count, BATCH):
            ids = [_moves_in(town, number) for number in range(first, min(first + BATCH, count))]
            with house.store.unit() as unit:
                frozen = [_freeze(house, desk, unit, patron, fee) for patron, fee in ids]
            started = [desk.providers["stripe"].start(attempt) for attempt in frozen]
            with house.store.unit() as unit:
                for attempt, outcome in zip(frozen, started, strict=True):
                    assert isinstance(outcome, Started), outcome
                    payment = payments.load(unit, attempt.reference)
                    assert payment is not None
                    record_start(unit, house, payment, attempt.key, outcome)
            for outcome in started:
                assert isinstance(outcome, Started)
                town.stripe.pay(outcome.session_ref)


def _moves_in(town: Town, number: int) -> tuple[PatronRef, int]:
    patron = town.koha.add_patron(
        f"6{number:09}", PIN, charge=False, surname="Leser", category_id="ERW", library_id="ZENTRALE"
    )
    return PatronRef(str(patron)), town.koha.add_fee(patron, 100 + number % 900, "MANUAL", "Gebühr")


def _freeze(house: House, desk: Desk, unit: Unit, patron: PatronRef, fee: int) -> Attempt:
    """Write one payment with its attempt, as the journey does."""
    payment_id, now = unit.world.new_id(), unit.now
    [open_fee] = desk.system.account(patron).fees
    line = PaymentLine(
        id=unit.world.new_id(),
        kind=open_fee.kind,
        claim_key=open_fee.claim_key,
        fee_ref=open_fee.ref,
        cents=open_fee.cents,
        cost_centre="",
        tax_code="",
        account="",
    )
    values = {
        "id": payment_id,
        "library": LIBRARY,
        "patron_id": patrons.patron_id(unit, desk.patrons, patron),
        "cents": line.cents,
        "currency": "EUR",
        "method": "card",
        "provider": "stripe",
        "live": False,
        "language": "de",
        "receipt_number": orders.new_marker(unit),
        "due_at": now + timedelta(hours=1),
    }
    payments.create(unit, values, [line], {line.id: open_fee.text})
    attempt = Attempt(
        key=unit.world.new_id(),
        reference=payment_id,
        cents=line.cents,
        currency="EUR",
        method="card",
        lines=(AttemptLine(text="Gebühr", cents=line.cents),),
        language="de",
        return_url=f"{house.settings.server.public_url}/",
        cancel_url=f"{house.settings.server.public_url}/",
        created_at=now,
    )
    request = desk.providers["stripe"].prepare(attempt)
    attempts.add(unit, key=attempt.key, payment_id=payment_id, provider="stripe", request=request)
    return Attempt(
        **{name: getattr(attempt, name) for name in attempt.__dataclass_fields__} | {"request": request}
    )


def deliver(town: Town, events: Sequence[str]) -> int:
    """Post the events over a few connections; return how many were answered with 200.

    Each is signed as it leaves: a signature is good for five minutes, and ten thousand may take longer.
    """
    outbox = town.stripe.book.outbox
    port = town.processes[0].port

    def post(some: Sequence[str]) -> int:
        taken = 0
        connection = http.client.HTTPConnection("127.0.0.1", port or 0, timeout=60)
        host = urlsplit(town.address).netloc
        with closing(connection):
            for event in some:
                parcel = outbox.parcel(outbox.deliveries[event], datetime.now(UTC))
                connection.request(
                    "POST", f"/webhooks/{LIBRARY}/stripe", parcel.body, {**parcel.headers, "Host": host}
                )
                answer = connection.getresponse()
                answer.read()
                taken += answer.status == 200
        return taken

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(post, [events[place::16] for place in range(16)]))


def play(count: int, seed: int) -> dict[str, Any]:
    """Prepare, deliver, wait, compare."""
    folder = Path(tempfile.mkdtemp(prefix="ils-payment-crowd-", dir="/tmp"))
    with (
        closing(PostgreSQL(connections=300, fsync=False)) as database,
        closing(CrowdedTown(folder, database, cards=1, seed=seed)) as town,
    ):
        began = time.monotonic()
        prepare(town, count)
        town.open()
        print(f"prepared in {time.monotonic() - began:.0f} s", file=sys.stderr)
        began = time.monotonic()
        events = [parcel.event_id for parcel in town.stripe.due_deliveries()] * COPIES
        random.Random(seed).shuffle(events)
        taken = deliver(town, events)
        print(f"{taken} of {len(events)} delivered in {time.monotonic() - began:.0f} s", file=sys.stderr)
        books = _settled(town, count, began)
        seconds = time.monotonic() - began
        found = kill_checks.violations(books) + kill_checks.broken_chains(town)
    rows = list(books.payments.values())
    once = [row for row in rows if row["state"] == "settled" and _credits(books, row) == [row["cents"]]]
    if taken != COPIES * count:
        found.append(f"{taken} of {COPIES * count} deliveries were answered with 200")
    if not found:
        shutil.rmtree(folder)
    return {
        "workers": WORKERS,
        "notices": len(books.notices),
        "copies": COPIES,
        "paid": sum(row["captured"] == row["cents"] for row in rows),
        "settled_once": len(once),
        "seconds": round(seconds),
        "violations": len(found),
        "found": found,
    }


def _settled(town: Town, count: int, began: float) -> kill_checks.Books:
    told = 0.0
    while True:
        left = kill_checks.waiting(town)
        if not left or time.monotonic() - began > PATIENCE:
            return kill_checks.read(town)
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"{count - left} of {count} settled", file=sys.stderr)
        time.sleep(1.0)


def _credits(books: kill_checks.Books, row: dict[str, Any]) -> list[int]:
    markers = [order["marker"] for order in books.orders.get(row["id"], [])]
    return [one["amount"] for marker in markers for one in books.credits.get(marker, [])]


def main() -> None:
    """Play as the environment asks; exit 1 when not every payment was settled exactly once."""
    count, seed = int(os.environ.get("NOTICES", "10000")), int(os.environ.get("SEED", "1"))
    line = play(count, seed)
    for sentence in line.pop("found")[:50]:
        print(sentence, file=sys.stderr)
    print(json.dumps(line), flush=True)
    sys.exit(0 if not line["violations"] and line["paid"] == line["settled_once"] == count else 1)


if __name__ == "__main__":
    main()
