"""From the fees page to the settled fee, with the real flows and store, for each preset that can pay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ils_payment_opac_soap.simulator import Fault

from ils_payment.domain.decisions import Choice
from ils_payment.flows import inbox, see, verify
from ils_payment.flows.views import NotBegun
from ils_payment.model import State
from ils_payment.store import orders
from tests.conftest import STRIPE
from tests.flows.decisions import books, case_of, kinds, resolve
from tests.opac_soap.conftest import CARD, PLACE
from tests.opac_soap.soap_town import SOAPTown

PAYING = ("arena", "ncip", "symphony")
READABLE: dict[str, Any] = {"preset": "symphony", "enable": ["credits"]}


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Any]:
    """Builds towns, each on a database of its own."""
    towns: list[SOAPTown] = []

    def build(**changes: Any) -> SOAPTown:
        towns.append(SOAPTown(f"sqlite:///{tmp_path}/ledger-{len(towns)}.db", **changes))
        return towns[-1]

    yield build
    for town in towns:
        town.close()


@pytest.mark.parametrize("changes", [*({"preset": name} for name in PAYING), READABLE])
def test_a_patron_pays_and_the_library_system_has_the_fees_as_paid(built, changes):
    town = built(**changes)
    payment_id = town.started()
    town.pay(payment_id)
    view = town.view(payment_id)
    assert (view.state, view.held, town.books()["balance"]) == (State.SETTLED, False, 0)
    booked = town.booked()
    assert sum(one["amount"] for one in booked) == 1250
    assert len(booked) == (1 if changes["preset"] == "arena" else 4)
    assert all(one["marker"].startswith("ILSP-") and one["unapplied"] == 0 for one in booked)
    assert books(town, payment_id) == {"provider": -1250, "library_system": 1250}
    assert verify.verify(town.house).findings == []


@pytest.mark.parametrize("preset", PAYING)
def test_single_fees_can_be_chosen(built, preset):
    town = built(preset=preset)
    payment_id = town.started(only=2)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.SETTLED
    assert town.books()["balance"] == 650
    with town.house.store.read() as unit:
        wanted = {(one.cents, one.marker) for one in orders.of_payment(unit, payment_id)}
    assert {(one["amount"], one["marker"]) for one in town.booked()} == wanted


def test_a_preset_that_cannot_pay_shows_the_fees_and_lets_nobody_pay(built):
    town = built(preset="sunrise-rpc")
    view = see.fees(town.house, town.desk, town.erika)
    assert [(line.cents, line.payable) for line in view.lines] == [(1250, False)]
    assert isinstance(town.begin(), NotBegun)


@pytest.mark.parametrize(
    ("preset", "fault"),
    [
        ("arena", Fault.LOST),
        ("arena", Fault.CUT),
        ("ncip", Fault.LOST),
        ("ncip", Fault.HTML),
        ("symphony", Fault.FAULT_AFTER),
        ("symphony", Fault.BOMB),
        ("symphony", Fault.LATE),
    ],
)
def test_an_unclear_answer_is_never_repeated_and_becomes_a_case(built, preset, fault):
    town = built(preset=preset)
    payment_id = town.started(only=1)
    town.server.go_wrong(fault, seconds=300)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.UNKNOWN
    town.run_for(hours=2, rounds=8)
    assert case_of(town, payment_id, "unclear").facts["reason"] == "the marker cannot be read back"
    assert town.sent() == 1
    assert [one["amount"] for one in town.booked()] == [450]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.FAULT_AFTER, Fault.LATE, Fault.CUT])
def test_where_markers_can_be_read_an_unclear_answer_is_looked_up_and_settled_without_anybody(built, fault):
    town = built(**READABLE)
    payment_id = town.started(only=1)
    town.server.go_wrong(fault, seconds=300)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.UNKNOWN
    town.run_for(hours=2, rounds=8)
    assert (town.view(payment_id).state, kinds(town, payment_id)) == (State.SETTLED, [])
    assert town.sent() == 1
    assert [one["amount"] for one in town.booked()] == [450]


def test_where_markers_can_be_read_a_payment_that_never_arrived_is_written_once_more(built):
    town = built(**READABLE)
    town.pay(town.started(only=1))
    payment_id = town.started(only=1)
    town.server.go_wrong(Fault.NEVER_DONE)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    assert (town.view(payment_id).state, kinds(town, payment_id)) == (State.SETTLED, [])
    assert [one["amount"] for one in town.booked()] == [450, 150]


def test_a_session_that_ends_meanwhile_costs_nobody_anything(built):
    town = built(preset="symphony")
    payment_id = town.started()
    town.server.go_wrong(Fault.SESSION)
    town.pay(payment_id)
    town.run_for(hours=1, rounds=8)
    assert (town.view(payment_id).state, town.books()["balance"]) == (State.SETTLED, 0)
    assert len(town.booked()) == 4


def test_a_server_that_is_away_is_waited_for(built):
    town = built(preset="symphony")
    payment_id = town.started()
    town.world.remotes = {STRIPE: town.stripe}
    town.pay(payment_id)
    assert town.view(payment_id).state is State.PAID
    town.run_for(hours=1, rounds=10)
    town.world.remotes = {STRIPE: town.stripe, PLACE: town.server}
    town.run_for(hours=2, rounds=20)
    assert town.view(payment_id).state is State.SETTLED
    assert town.sent() == 4


@pytest.mark.parametrize("preset", ["ncip", "symphony"])
def test_a_fee_paid_at_the_desk_meanwhile_is_seen_before_anything_is_written(built, preset):
    town = built(preset=preset)
    payment_id = town.started(only=1)
    town.server.books.pay(CARD, 450, at=town.world.now())
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["fees_differ"]
    assert town.sent() == 0


def test_an_answer_that_lies_is_found_out_by_reading_afterwards(built):
    town = built(preset="ncip")
    payment_id = town.started(only=1)
    town.server.books.pay = lambda *_args, **_more: True  # says yes and books nothing
    town.server.books.patrons[CARD].payments = []
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["read_back"]


def test_a_clerk_sees_both_sides_and_decides(built):
    town = built(preset="symphony")
    payment_id = town.started(only=1)
    town.server.go_wrong(Fault.LOST)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert (side.card, side.balance) == (CARD, 800)
    decided = resolve(town, case_of(town, payment_id, "unclear"), Choice.BOOKED_BY_HAND, reference="Kasse 12")
    assert decided.code == "done"
    assert town.view(payment_id).state is State.RESOLVED
    assert town.sent() == 1


def test_nothing_personal_reaches_the_ledger_or_the_provider(built, tmp_path):
    town = built(preset="symphony")
    town.pay(town.started())
    town.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert CARD.encode() not in kept
    assert b"Erika" not in kept
    assert CARD not in str(town.stripe.truth())
