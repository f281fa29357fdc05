"""From the fees page to the settled fee, with the real flows and store: what SIP2 can and what it cannot."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ils_payment_sip2.simulator import Fault, Habits
from starlette.testclient import TestClient

from ils_payment.domain.decisions import Choice
from ils_payment.errors import PinNeededError
from ils_payment.flows import inbox, see, show, verify
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import PayState, State
from ils_payment.store import orders
from ils_payment.web.app import create_app
from tests.flows.decisions import books, case_of, kinds, resolve
from tests.flows.meeting import learn, meet_at_the_commit
from tests.flows.truths import load
from tests.sip2.conftest import CARD, PIN
from tests.sip2.sip2_town import SIP2Town

GOSSIP = {"preset": "gossip", "dialect": {"reads_without_pin": True}}
WITH_PIN: dict[str, Any] = {"dialect": {}}


@pytest.mark.parametrize("changes", [{}, GOSSIP, WITH_PIN, {"preset": "koha"}, {"preset": "evergreen"}])
def test_a_patron_pays_and_the_library_system_has_the_fees_as_paid(built, changes):
    town = built(**changes)
    payment_id = town.started()
    town.pay(payment_id)
    view = town.view(payment_id)
    assert (view.state, view.held, town.books()["balance"]) == (State.SETTLED, False, 0)
    booked = town.booked()
    assert sum(one["amount"] for one in booked) == 1250
    assert all(one["marker"].startswith("ILSP-") and one["unapplied"] == 0 for one in booked)
    assert books(town, payment_id) == {"provider": -1250, "library_system": 1250}
    report = verify.verify(town.house)
    assert report.findings == []


def test_positions_are_paid_one_by_one_under_numbers_of_their_own(built):
    town = built(**GOSSIP)
    payment_id = town.started(only=2)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.SETTLED
    with town.house.store.read() as unit:
        wanted = [(one.cents, one.marker) for one in orders.of_payment(unit, payment_id)]
    assert [(one["amount"], one["marker"]) for one in town.booked()] == wanted
    assert [amount for amount, _ in wanted] == [450, 150]
    assert town.books()["balance"] == 650


def test_without_ids_one_line_stands_for_the_whole_balance(built):
    town = built()
    view = see.fees(town.house, town.desk, town.erika)
    [line] = view.lines
    assert (line.key, line.cents, view.whole) == ("account", 1250, True)
    assert line.label == {"de": "Alle offenen Gebühren", "en": "All open fees"}


def test_two_payments_for_one_account_cannot_run_at_once(built):
    town = built()
    first = town.started()
    again = town.begin()
    # The page shows the line as running already, so nothing can be chosen.
    assert isinstance(again, NotBegun)
    town.pay(first)
    assert len(town.booked()) == 1


@pytest.mark.parametrize(
    "fault", [Fault.LOST, Fault.CUT, Fault.DAMAGED_FOR_EVER, Fault.OTHER_PATRON, Fault.LATE]
)
def test_an_unclear_answer_is_never_repeated_and_becomes_a_case(built, fault):
    town = built()
    payment_id = town.started()
    town.server.go_wrong(fault, seconds=300)
    town.pay(payment_id)
    assert town.view(payment_id).state is State.UNKNOWN
    town.run_for(hours=2, rounds=8)
    case = case_of(town, payment_id, "unclear")
    assert case.facts["reason"] == "the marker cannot be read back"
    assert town.sent("37") == 1
    assert len(town.booked()) == 1


def test_a_clerk_sees_both_sides_of_the_case_and_books_it_as_settled(built):
    town = built()
    payment_id = town.started()
    town.server.go_wrong(Fault.LOST)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    side = inbox.library_side(town.house, town.desk, payment_id)
    assert (side.card, side.balance, side.credits) == (CARD, 0, None)
    decided = resolve(town, case_of(town, payment_id, "unclear"), Choice.BOOKED_BY_HAND, reference="Kasse 12")
    assert decided.code == "done"
    assert town.view(payment_id).state is State.RESOLVED
    assert town.sent("37") == 1


def test_a_clerk_lets_it_be_settled_again_when_nothing_arrived(built):
    town = built()
    payment_id = town.started()
    town.server.go_wrong(Fault.NEVER_DONE)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    town.world.pass_time(hours=1)
    assert resolve(town, case_of(town, payment_id, "unclear"), Choice.SETTLE_AGAIN).code == "done"
    town.run()
    assert town.view(payment_id).state is State.SETTLED
    assert [one["amount"] for one in town.booked()] == [1250]


def test_a_server_that_is_away_is_waited_for(built):
    town = built()
    payment_id = town.started()
    # The connections that stand are too old by then.
    town.world.pass_time(minutes=5)
    away, town.world.streams = town.world.streams, {}
    town.pay(payment_id)
    assert town.view(payment_id).state is State.PAID
    town.run_for(hours=1, rounds=10)
    town.world.streams = away
    town.run_for(hours=2, rounds=20)
    assert town.view(payment_id).state is State.SETTLED
    assert town.sent("37") == 1


def test_a_refusal_is_a_case_and_nothing_is_settled(built):
    town = built()
    payment_id = town.started()
    town.server.go_wrong(Fault.REFUSED)
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["not_applied"]
    assert town.booked() == []


def test_fees_paid_at_the_desk_meanwhile_are_seen_where_the_server_answers_without_a_pin(built):
    town = built()
    payment_id = town.started()
    town.server.books.pay(CARD, 450, at=town.world.now())
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["fees_differ"]
    assert town.sent("37") == 0


def test_fees_paid_at_the_desk_meanwhile_are_refused_by_the_server_where_nobody_can_look(built):
    town = built(**WITH_PIN)
    payment_id = town.started()
    town.server.books.pay(CARD, 450, at=town.world.now())
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["not_applied"]
    assert [one["amount"] for one in town.booked()] == [450]


def test_a_server_that_says_yes_and_books_nothing_is_found_out_where_it_can_be_read(built):
    town = built()
    payment_id = town.started()
    answer = [("AO", ""), ("AA", CARD)]
    town.server._pay = lambda *_: ("38", f"Y{town.server._stamp()}", answer)  # a lie
    town.pay(payment_id)
    assert kinds(town, payment_id) == ["read_back"]


# --- servers that answer with the PIN only --------------------------------------------------------


def test_what_was_read_before_a_payment_starts_no_other_one(built):
    """Another process may still remember the balance from before."""
    town = built(**WITH_PIN)
    patron = town.erika
    remembered = town.desk.system.account(patron), town.desk.system.card(patron)
    payment_id = town.started()
    town.pay(payment_id)
    assert town.view(payment_id).state is State.SETTLED
    town.desk.system._plugin._sign_ins.keep(patron, *remembered)
    from ils_payment.flows import pay

    with pytest.raises(PinNeededError):
        pay.begin(town.house, town.desk, patron, ["account"], "card", "de", 1250)
    town.server.books.add_fee(CARD, 300, "Neu", since=town.world.now().date())
    town.world.pass_time(minutes=1)
    assert isinstance(town.begin(), Begun)


def test_a_cancelled_payment_leaves_what_was_read_usable(built):
    from ils_payment.flows import pay

    town = built(**WITH_PIN)
    patron = town.erika
    begun = pay.begin(town.house, town.desk, patron, ["account"], "card", "de", 1250)
    assert isinstance(begun, Begun)
    pay.cancel(town.house, begun.payment_id)
    assert isinstance(pay.begin(town.house, town.desk, patron, ["account"], "card", "de", 1250), Begun)


def test_nobody_asks_the_library_system_about_a_case_without_the_pin(built):
    town = built(**WITH_PIN)
    payment_id = town.started()
    town.server.go_wrong(Fault.LOST)
    town.pay(payment_id)
    town.run_for(hours=2, rounds=8)
    assert case_of(town, payment_id, "unclear").facts["reason"] == "the marker cannot be read back"
    assert town.sent("37") == 1
    assert inbox.library_side(town.house, town.desk, payment_id).problem == "silent"


# --- pages ----------------------------------------------------------------------------------------


def browser(town: SIP2Town) -> TestClient:
    return TestClient(create_app(town.house), base_url="https://pay.lindental.example")


def signed_in(client: TestClient) -> Any:
    form = client.get("/lindental/")
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form.text))
    return client.post("/lindental/login", data={**hidden, "card": CARD, "pin": PIN})


def test_the_page_says_why_only_the_whole_sum_can_be_paid(built):
    client = browser(built())
    page = signed_in(client)
    assert page.status_code == 200
    assert "nur die ganze Summe bezahlen" in page.text
    assert "Alle offenen Gebühren" in page.text
    single = browser(built(**GOSSIP))
    assert "nur die ganze Summe" not in signed_in(single).text


def test_where_the_pin_is_wanted_again_the_patron_signs_in_again(built):
    town = built(**WITH_PIN)
    client = browser(town)
    assert signed_in(client).status_code == 200
    town.world.pass_time(minutes=11)
    again = client.get("/lindental/fees")
    assert (again.status_code, again.url.path) == (200, "/lindental/ended")
    assert signed_in(client).status_code == 200


def test_the_payment_itself_asks_for_the_pin_again_and_begins_nothing(built):
    town = built(**WITH_PIN)
    client = browser(town)
    page = signed_in(client)
    csrf = re.findall(r'name="(csrf\w*)" value="([^"]*)"', page.text)
    town.world.pass_time(minutes=11)
    form = {**dict(csrf), "fee": "account", "method": "card", "expected": "1250"}
    answer = client.post("/lindental/pay", data=form)
    assert answer.url.path == "/lindental/ended"
    assert town.stripe.truth()["sessions"] == {}


def test_a_balance_that_changed_does_not_lead_to_an_older_payment(built):
    town = built()
    payment_id = town.started()
    town.pay(payment_id)
    town.server.books.add_fee(CARD, 300, "Neu", since=town.world.now().date())
    assert show.paid_with(town.house, town.desk, town.erika, ["account"], cents=1250) == payment_id
    assert show.paid_with(town.house, town.desk, town.erika, ["account"], cents=300) is None
    town.world.pass_time(days=2)
    assert show.paid_with(town.house, town.desk, town.erika, ["account"]) is None


def test_a_patron_of_a_server_that_takes_any_surplus_pays_once(built):
    town = built(habits=Habits(refuses_surplus=False))
    payment_id = town.started()
    town.pay(payment_id)
    assert town.view(payment_id).state is State.SETTLED
    assert [one["unapplied"] for one in town.booked()] == [0]


def test_late_money_that_meets_the_commit_of_another_payment_is_credited_nowhere(postgresql_url, monkeypatch):
    """Nobody can read the account without the PIN, and the server would keep the surplus."""
    town = SIP2Town(postgresql_url, dialect={}, habits=Habits(refuses_surplus=False))
    late = town.started()
    learn(town, late, PayState.VOID)
    town.world.pass_time(seconds=1)
    new = town.started()
    town.world.pass_time(seconds=1)

    def money_comes():
        learn(town, late, PayState.PAID, load(town, late).cents)

    meet_at_the_commit(monkeypatch, postgresql_url, new, lambda: town.pay(new), money_comes)
    town.run_for(rounds=3, minutes=30)
    assert (len(town.booked()), kinds(town, late)) == (1, ["paid_twice"])
    town.close()


def test_a_second_tab_that_meets_the_commit_of_the_first_wants_the_pin_again(postgresql_url, monkeypatch):
    from ils_payment.flows import choose, freeze

    town = SIP2Town(postgresql_url, dialect={})
    first, patron = town.started(), town.erika
    wish = choose.Wish(keys=frozenset({"account"}), method="card", expected_cents=1250, until=None)
    choice = choose.choose(town.house, town.desk, patron, wish)
    assert isinstance(choice, choose.Choice)

    def second_tab():
        with pytest.raises(PinNeededError):
            freeze.freeze(town.house, town.desk, patron, choice, wish, "de")

    meet_at_the_commit(monkeypatch, postgresql_url, first, lambda: town.pay(first), second_tab)
    assert town.view(first).state is State.SETTLED
    town.close()
