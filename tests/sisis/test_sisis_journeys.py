"""From the fees page to the settled fee, with the real flows and store: what SISIS can and what it cannot."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ils_payment_sip2.simulator import Fault as TillFault
from ils_payment_sisis.simulator import Fault
from starlette.testclient import TestClient

from ils_payment.domain.decisions import Choice
from ils_payment.errors import PinNeededError, RemoteError
from ils_payment.flows import inbox, pay, see, verify
from ils_payment.flows.views import NotBegun
from ils_payment.model import State
from ils_payment.web.app import create_app
from tests.flows.decisions import books, case_of, kinds, resolve
from tests.sisis.conftest import BY_NCIP, CARD, OWN_FEES, PASSWORD, PIN
from tests.sisis.sisis_town import SISISTown

WAYS = pytest.mark.parametrize(
    "changes", [{}, {"slnp": {"fees": OWN_FEES}}, BY_NCIP], ids=["slnp", "own-list", "ncip"]
)


@pytest.fixture
def built(tmp_path: Path) -> Iterator[Any]:
    """Builds towns, each on a database of its own."""
    towns: list[SISISTown] = []

    def build(**changes: Any) -> SISISTown:
        towns.append(SISISTown(f"sqlite:///{tmp_path}/ledger-{len(towns)}.db", **changes))
        return towns[-1]

    yield build
    for town in towns:
        town.close()


@WAYS
def test_a_patron_pays_and_sisis_has_the_whole_balance_as_paid(built, changes):
    town = built(**changes)
    payment_id = town.started()
    town.pay(payment_id)
    view = town.view(payment_id)
    assert (view.state, view.held, town.books()["balance"]) == (State.SETTLED, False, 0)
    [booked] = town.booked()
    assert (booked["amount"], booked["unapplied"]) == (1250, 0)
    assert booked["marker"].startswith("ILSP-")
    assert books(town, payment_id) == {"provider": -1250, "library_system": 1250}
    assert verify.verify(town.house).findings == []


def test_the_account_is_read_before_and_after_the_payment_through_slnp(built):
    town = built()
    payment_id = town.started()
    before = town.sent("SLNPBenutzerKurzKonto")
    town.pay(payment_id)
    assert town.sent("SLNPBenutzerKurzKonto") == before + 2


@WAYS
def test_one_line_stands_for_the_whole_balance(built, changes):
    town = built(**changes)
    view = see.fees(town.house, town.desk, town.erika)
    [line] = view.lines
    assert (line.key, line.cents, view.whole) == ("account", 1250, True)


def test_two_payments_for_one_account_cannot_run_at_once(built):
    town = built()
    first = town.started()
    assert isinstance(town.begin(), NotBegun)
    town.pay(first)
    assert len(town.booked()) == 1


@pytest.mark.parametrize("changes", [{}, BY_NCIP], ids=["slnp", "ncip"])
@pytest.mark.parametrize("fault", [TillFault.LOST, TillFault.LATE])
def test_an_unclear_answer_is_never_repeated_and_becomes_a_case(built, changes, fault):
    town = built(**changes)
    payment_id = town.started()
    town.sisis.till.go_wrong(fault, seconds=300)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.UNKNOWN
    town.run_for(hours=2, rounds=8)
    case = case_of(town, payment_id, "unclear")
    assert case.facts["reason"] == "the marker cannot be read back"
    assert town.sent("37") == 1
    assert len(town.booked()) == 1


def test_a_clerk_sees_through_slnp_what_became_of_it_and_books_it_as_settled(built):
    town = built()
    payment_id = town.started()
    town.sisis.till.go_wrong(TillFault.LOST)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert (side.balance, side.credits) == (0, None)
    decided = resolve(town, case_of(town, payment_id, "unclear"), Choice.BOOKED_BY_HAND, reference="Kasse 12")
    assert decided.code == "done"
    assert town.view(payment_id).state is State.RESOLVED
    assert town.sent("37") == 1


def test_a_clerk_lets_it_be_settled_again_when_nothing_arrived(built):
    town = built()
    payment_id = town.started()
    town.sisis.till.go_wrong(TillFault.NEVER_DONE)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    town.world.pass_time(hours=1)
    assert resolve(town, case_of(town, payment_id, "unclear"), Choice.SETTLE_AGAIN).code == "done"
    town.run()
    assert town.view(payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.booked()] == [1250]


@pytest.mark.parametrize("door", ["slnp.test:9001", "sip2.test:6001"])
def test_a_door_that_is_shut_is_waited_for(built, door):
    town = built()
    payment_id = town.started()
    shut = town.world.streams.pop(door)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.PAID
    town.run_for(hours=1, rounds=10)
    town.world.streams[door] = shut
    town.run_for(hours=2, rounds=20)
    assert town.view(payment_id).state is State.SETTLED
    assert town.sent("37") == 1


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.OTHER_PATRON, Fault.CUT, Fault.ENDLESS, Fault.BROKEN])
def test_a_broken_answer_before_the_payment_only_costs_time(built, fault):
    town = built()
    payment_id = town.started()
    town.sisis.go_wrong(fault, "SLNPBenutzerKurzKonto")
    town.pay(payment_id)
    town.run_for(hours=2, rounds=20)
    assert town.view(payment_id).state is State.SETTLED
    assert town.sent("37") == 1


def test_fees_paid_at_the_desk_meanwhile_are_seen_through_slnp(built):
    town = built()
    payment_id = town.started()
    town.sisis.books.pay(CARD, 450, at=town.world.now())
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["fees_differ"]
    assert town.sent("37") == 0


def test_fees_paid_at_the_desk_meanwhile_are_refused_by_sip2_where_nobody_can_look(built):
    town = built(**BY_NCIP)
    payment_id = town.started()
    town.sisis.books.pay(CARD, 450, at=town.world.now())
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["not_applied"]
    assert [one["amount"] for one in town.booked()] == [450]


def test_a_till_that_says_yes_and_books_nothing_is_found_out_through_slnp(built):
    town = built()
    payment_id = town.started()
    till = town.sisis.till
    till._pay = lambda *_: ("38", f"Y{till._stamp()}", [("AO", ""), ("AA", CARD)])  # a lie
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["read_back"]


def test_without_the_pin_nobody_looks_into_an_account_through_ncip(built):
    town = built(**BY_NCIP)
    patron = town.erika
    town.world.pass_time(minutes=11)
    with pytest.raises(PinNeededError):
        pay.begin(town.house, town.desk, patron, ["account"], "card", "de", 1250)
    payment_id = town.started()
    asked = sum(town.sent(what) for what in ("data", "fiscal", "blocks"))
    town.sisis.till.go_wrong(TillFault.LOST)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    assert case_of(town, payment_id, "unclear").facts["reason"] == "the marker cannot be read back"
    assert sum(town.sent(what) for what in ("data", "fiscal", "blocks")) == asked
    assert inbox.library_side(town.house, town.desk, payment_id).problem == "silent"


# --- pages ----------------------------------------------------------------------------------------


def signed_in(client: TestClient, pin: str = PIN) -> Any:
    form = client.get("/lindental/")
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form.text))
    return client.post("/lindental/login", data={**hidden, "card": CARD, "pin": pin})


@WAYS
def test_the_page_shows_the_whole_sum_and_says_why(built, changes):
    town = built(**changes)
    client = TestClient(create_app(town.house), base_url="https://pay.lindental.example")
    page = signed_in(client)
    assert page.status_code == 200
    assert "nur die ganze Summe bezahlen" in page.text
    assert "12,50" in page.text
    assert ("Fernleihe (2 Bestellungen) 4,00 EUR" in page.text) == (changes != {})


def test_through_ncip_the_patron_signs_in_again_after_a_while(built):
    town = built(**BY_NCIP)
    client = TestClient(create_app(town.house), base_url="https://pay.lindental.example")
    assert signed_in(client).status_code == 200
    town.world.pass_time(minutes=11)
    assert client.get("/lindental/fees").url.path == "/lindental/ended"
    assert signed_in(client).status_code == 200


@WAYS
def test_a_pin_that_sisis_tells_in_clear_is_found_nowhere(built, changes, caplog, capsys, tmp_path):
    """Some answers of SLNP carry it, whoever asks; a made-up one must not get out of the wire module."""
    canary = "kanarienpin4711"
    caplog.set_level(logging.DEBUG)
    town = built(**changes)
    town.sisis.books.patrons[CARD].pin = canary
    system, seen = town.desk.system, []
    client = TestClient(create_app(town.house), base_url="https://pay.lindental.example")
    seen.append(signed_in(client, canary).text)
    payment_id = town.started(patron=system.sign_in(CARD, canary))
    seen.append(repr(system.card(system.sign_in(CARD, canary))))
    town.pay(payment_id)
    for fault in (Fault.GARBAGE, Fault.OTHER_PATRON, Fault.OTHER_COMMAND, Fault.CUT, Fault.REFUSED):
        ref = system.sign_in(CARD, canary)
        town.sisis.go_wrong(fault, "SLNPAlleBenutzerDaten")
        town.sisis.go_wrong(fault, "data")
        seen.append(_what(lambda ref=ref: system.card(ref)))
        seen.append(_what(lambda: system.sign_in(CARD, canary)))
    told = caplog.text + "".join(capsys.readouterr()) + "".join(seen)
    assert canary not in told
    assert PASSWORD not in told
    ledgers = list(tmp_path.glob("ledger-*"))
    assert ledgers
    assert all(canary.encode() not in file.read_bytes() for file in ledgers)


def _what(question: Any) -> str:
    """Whatever a question is answered with, or fails with, in words."""
    try:
        return repr(question())
    except RemoteError as error:
        return "".join(traceback.format_exception(error))
