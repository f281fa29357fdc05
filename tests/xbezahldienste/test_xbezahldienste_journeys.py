"""Whole journeys through the real core: simulated Koha, simulated payment service, no notice ever."""

from __future__ import annotations

from typing import Any

import pytest
from ils_payment_xbezahldienste.simulator import XBezahldiensteSimulator
from starlette.testclient import TestClient

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import case_words, decide, links, pay, show
from ils_payment.flows.observe import POLL
from ils_payment.flows.verify import verify
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import State
from ils_payment.web.app import create_app
from tests.conftest import Town
from tests.flows.decisions import books, case_of, kinds, refund, resolve
from tests.flows.truths import DUE, ending, held, settled, void
from tests.xbezahldienste.conftest import BOOKING, IDS, PASSWORD, USER

HOST = "bezahlen.test"


class City(Town):
    """The town of the other tests, whose city treasury takes the money."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, **library: Any) -> None:
        monkeypatch.setenv("CITY_PASSWORD", PASSWORD)
        table = {
            "url": f"https://{HOST}",
            **IDS,
            "authentication": "basic",
            "user": USER,
            "password": {"env": "CITY_PASSWORD"},
            "booking_data": BOOKING,
        }
        super().__init__(
            url,
            providers={"xbezahldienste": table},
            methods=[{"method": "payment_page", "provider": "xbezahldienste"}],
            **library,
        )
        self.service = XBezahldiensteSimulator(
            self.world, basic=(USER, PASSWORD), public_url=f"https://{HOST}"
        )
        self.world.remotes[HOST] = self.service

    def started(self, **options: Any) -> str:
        return super().started(method="payment_page", **options)

    def transaction_of(self, payment_id: str) -> str:
        known = self.service.truth()["transactions"].items()
        [found] = [key for key, one in known if one["references"] == [payment_id]]
        return str(found)


@pytest.fixture
def city(tmp_path, monkeypatch):
    built = City(f"sqlite:///{tmp_path}/ledger.db", monkeypatch)
    yield built
    built.close()


def end(city, payment_id):
    """Everything that counts of one payment; what was taken is the payment service's word."""
    found = ending(city, payment_id)
    found["captured"] = city.service.truth()["taken"].get("EUR", 0)
    return found


def come_back(city, payment_id):
    """Open the address for the way back as the payer's browser does."""
    url = links.return_url(city.house, "lindental", payment_id, city.world.now())
    with TestClient(create_app(city.house), base_url="https://pay.lindental.example") as browser:
        return browser.get(url)


# --- paid ----------------------------------------------------------------------------------------


def test_a_payment_is_settled_by_the_poll_alone(city):
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    city.run_for(minutes=2, rounds=4)
    assert end(city, payment_id) == settled()
    [one] = city.service.truth()["transactions"].values()
    number = city.view(payment_id).number
    assert one["purpose"] == f"BIBLIOTHEK {number}"
    booked = [item["bookingData"] for item in one["items"]]
    assert {"HHST": "4711", "Objektnummer": "331100"} in booked
    assert sum(item["cents"] for item in one["items"]) == DUE
    assert verify(city.house).findings == []


def test_coming_back_settles_it_at_once(city):
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    assert come_back(city, payment_id).status_code == 200
    city.run()
    assert end(city, payment_id) == settled()


def test_who_pays_late_and_never_comes_back_is_found_within_a_quarter_of_an_hour(city):
    payment_id = city.started()
    city.run_for(minutes=25, rounds=25)
    paid_at = city.world.now()
    city.service.book.pay(city.transaction_of(payment_id))
    city.run_for(minutes=16, rounds=32)
    assert end(city, payment_id) == settled()
    view = city.view(payment_id)
    assert view.paid_at is not None
    assert view.paid_at - paid_at <= POLL


def test_a_page_that_stays_open_for_hours_is_read_every_quarter_of_an_hour_and_then_daily(city):
    city.service.service.timeout_seconds = 10 * 24 * 3600
    payment_id = city.started()
    city.run_for(hours=6, rounds=6 * 12)
    assert 20 <= city.service.truth()["requests"]["read"] <= 30
    city.run_for(hours=18, rounds=18)
    first_day = city.service.truth()["requests"]["read"]
    city.run_for(days=4, rounds=16)
    assert city.service.truth()["requests"]["read"] - first_day <= 5
    assert city.view(payment_id).state is State.OPEN


def test_a_status_that_lags_behind_the_way_back_is_read_again_soon(city):
    city.service.service.lag_seconds = 300
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    come_back(city, payment_id)
    city.run()
    assert city.view(payment_id).state is State.OPEN
    city.run_for(minutes=10, rounds=20)
    assert end(city, payment_id) == settled()


# --- not paid ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hand", ["cancel", "fail"])
def test_what_was_given_up_on_the_page_frees_the_fees(city, hand):
    payment_id = city.started()
    getattr(city.service.book, hand)(city.transaction_of(payment_id))
    come_back(city, payment_id)
    city.run()
    assert end(city, payment_id) == void("expired")
    assert isinstance(city.begin(method="payment_page"), Begun)


def test_an_abandoned_page_holds_the_fees_until_the_payment_service_ends_it(city):
    payment_id = city.started()
    city.run_for(minutes=29, rounds=29)
    assert isinstance(city.begin(method="payment_page"), NotBegun)
    assert pay.cancel(city.house, payment_id).state is State.OPEN, "the interface cannot end it"
    city.run_for(minutes=17, rounds=17)
    assert end(city, payment_id) == void("expired")


def test_money_that_comes_after_the_end_settles_the_fees_that_are_still_free(city):
    payment_id = city.started()
    transaction = city.transaction_of(payment_id)
    city.service.book.fail(transaction)
    come_back(city, payment_id)
    city.run()
    assert city.view(payment_id).state is State.VOID
    city.service.book.pay_late(transaction)
    come_back(city, payment_id)
    city.run()
    assert end(city, payment_id) == settled() | {"void": "expired"}


def test_money_that_comes_after_the_end_is_found_for_a_week_without_anybody(city):
    payment_id = city.started()
    transaction = city.transaction_of(payment_id)
    city.service.book.fail(transaction)
    city.run_for(days=3, rounds=12)
    assert city.view(payment_id).state is State.VOID
    city.service.book.pay_late(transaction)
    city.run_for(days=1, rounds=4)
    assert end(city, payment_id) == settled() | {"void": "expired"}


def test_money_that_comes_after_the_end_for_fees_that_were_paid_again_is_a_case(city):
    first = city.started()
    transaction = city.transaction_of(first)
    city.service.book.fail(transaction)
    city.run_for(minutes=2, rounds=2)
    second = city.started()
    city.service.book.pay(city.transaction_of(second))
    city.run_for(minutes=2, rounds=4)
    assert city.view(second).state is State.SETTLED
    city.service.book.pay_late(transaction)
    city.run_for(days=1, rounds=4)
    assert kinds(city, first) == ["paid_twice"]
    assert len(city.credits()) == 1


def test_nobody_looks_for_ever_at_what_is_over(city):
    payment_id = city.started()
    city.service.book.cancel(city.transaction_of(payment_id))
    city.run_for(days=8, rounds=32)
    looked = city.service.truth()["requests"]["read"]
    assert looked <= 9
    city.run_for(days=10, rounds=20)
    assert city.service.truth()["requests"]["read"] == looked
    assert end(city, payment_id) == void("expired")


# --- lost and wrong answers ----------------------------------------------------------------------


def unclear(city):
    begun = city.begin(method="payment_page")
    assert isinstance(begun, NotBegun)
    assert begun.code == "provider_unavailable"
    return begun.payment_id


def test_a_lost_start_is_found_by_its_request_id_and_can_be_paid(city):
    city.service.service.request_id_is_transaction_id = True
    city.service.faults.lose_answer(only="start")
    payment_id = unclear(city)
    city.run_for(minutes=1, rounds=3)
    view = city.view(payment_id)
    assert view.state is State.OPEN
    assert view.continue_url == f"https://{HOST}/paypage/{city.transaction_of(payment_id)}"
    city.service.book.pay(city.transaction_of(payment_id))
    city.run_for(minutes=16, rounds=16)
    assert end(city, payment_id) == settled()


def test_a_start_that_never_arrived_is_made_once_and_can_be_paid(city):
    city.service.faults.lose_request(only="start")
    payment_id = unclear(city)
    city.run_for(minutes=1, rounds=3)
    assert city.view(payment_id).state is State.OPEN
    city.service.book.pay(city.transaction_of(payment_id))
    city.run_for(minutes=16, rounds=16)
    assert end(city, payment_id) == settled()


def test_a_transaction_that_nobody_can_reach_keeps_its_claim_for_a_day_and_is_made_once(city):
    city.service.faults.lose_answer(only="start")
    payment_id = unclear(city)
    city.run_for(hours=23, rounds=23)
    assert city.view(payment_id).state is State.CREATED
    assert isinstance(city.begin(method="payment_page"), NotBegun)
    city.run_for(hours=2, rounds=20)
    assert end(city, payment_id) == void("not_started")
    assert len(city.service.truth()["transactions"]) == 1
    assert isinstance(city.begin(method="payment_page"), Begun)


def test_a_refused_start_frees_the_fees_at_once(city):
    city.service.service.required_booking_data = ("Kostentraeger",)
    begun = city.begin(method="payment_page")
    assert isinstance(begun, NotBegun)
    assert begun.code == "provider_refused"
    assert end(city, begun.payment_id) == void("refused")


@pytest.mark.parametrize(("cents", "currency"), [(DUE - 1, "EUR"), (DUE + 1, "EUR")])
def test_another_amount_than_was_asked_for_is_a_case_and_settles_nothing(city, cents, currency):
    payment_id = city.started()
    city.service.book.pay_other_amount(city.transaction_of(payment_id), cents, currency)
    city.run_for(minutes=2, rounds=4)
    assert end(city, payment_id) == held("paid", "paid_wrong", cents=cents)


def test_another_currency_than_was_asked_for_is_a_case_and_settles_nothing(city):
    payment_id = city.started()
    city.service.book.pay_other_amount(city.transaction_of(payment_id), DUE, "CHF")
    city.run_for(minutes=2, rounds=4)
    found = end(city, payment_id)
    assert (found["state"], found["cases"], found["credits"]) == ("paid", ["paid_wrong"], [])


@pytest.mark.parametrize("body", [b"", b"<html>Wartung</html>", b'{"paymentInformation":{"status":"PAYED"}}'])
def test_a_garbled_answer_loses_nothing_and_ends_nothing(city, body):
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    city.service.faults.garble_next(body, 3, only="read")
    city.run_for(minutes=2, rounds=4)
    assert city.view(payment_id).state is State.OPEN
    city.run_for(hours=2, rounds=60)
    assert end(city, payment_id) == settled()


def test_a_word_that_nobody_knows_is_pending_until_one_is_known(city, monkeypatch):
    payment_id = city.started()
    transaction = city.service.book.transactions[city.transaction_of(payment_id)]
    transaction.status = transaction.told = "IN_PROGRESS"
    city.run_for(minutes=3, rounds=6)
    assert city.view(payment_id).state is State.PENDING
    transaction.status = transaction.told = "INITIAL"
    city.service.book.pay(transaction.id)
    city.run_for(minutes=20, rounds=20)
    assert end(city, payment_id) == settled()


# --- giving back ---------------------------------------------------------------------------------


def paid_and_settled(city):
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    city.run_for(minutes=2, rounds=4)
    assert end(city, payment_id) == settled()
    return payment_id


def test_a_refund_is_an_order_to_the_treasury_closed_by_its_voucher(city):
    payment_id = paid_and_settled(city)
    assert refund(city, payment_id).code == "treasury"
    case = case_of(city, payment_id, "treasury_pays")
    assert case.facts["cents"] == DUE
    assert case.facts["meaning"] == str(Meaning.FEE_DROPPED)
    assert "treasury" in case_words.of_kind(case.kind, "en")[1]
    assert show.refunds_of(city.house, payment_id) == (), "nothing is reserved and nothing was sent"
    assert refund(city, payment_id).code == "provider_cannot", "the order stands already"
    assert Choice.REFUND not in decide.choices(city.house, payment_id), "nor is it offered"
    done = resolve(city, case, Choice.REFUNDED_OUTSIDE, reference="Beleg 12")
    assert done.code == "done"
    assert kinds(city, payment_id) == []
    assert books(city, payment_id) == {"provider": -DUE, "outside": DUE}
    assert refund(city, payment_id).code in {"nothing_left", "not_possible"}


def test_an_order_may_be_for_some_of_the_lines(city):
    payment_id = paid_and_settled(city)
    line = city.view(payment_id).lines[0]
    some = (show.line_ids(city.house, payment_id)[0],)
    assert refund(city, payment_id, lines=some).code == "treasury"
    case = case_of(city, payment_id, "treasury_pays")
    assert case.facts["cents"] == line.cents
    assert resolve(city, case, Choice.REFUNDED_OUTSIDE, reference="Beleg 13", lines=some).code == "done"
    assert books(city, payment_id) == {
        "provider": -DUE,
        "outside": line.cents,
        "library_system": DUE - line.cents,
    }
    # The next order is a case of its own.
    assert refund(city, payment_id).code == "treasury"


def test_an_order_before_the_booking_holds_the_payment_and_nothing_is_settled(city):
    payment_id = city.started()
    city.service.book.pay(city.transaction_of(payment_id))
    city.koha.fail_next(1)
    city.run_for(minutes=2, rounds=4)
    assert city.view(payment_id).state is State.PAID
    assert refund(city, payment_id).code == "treasury"
    city.run_for(hours=2, rounds=20)
    assert end(city, payment_id) == held("paid", "treasury_pays")
    case = case_of(city, payment_id)
    assert resolve(city, case, Choice.REFUNDED_OUTSIDE, reference="Beleg 14").code == "done"
    city.run()
    assert city.view(payment_id).state is State.RESOLVED
    assert books(city, payment_id) == {"provider": -DUE, "outside": DUE}
    assert isinstance(city.begin(method="payment_page"), Begun), "the fees are open as before"


def test_a_refund_of_what_was_never_paid_is_no_order(city):
    payment_id = city.started()
    city.service.book.cancel(city.transaction_of(payment_id))
    city.run_for(minutes=2, rounds=4)
    assert refund(city, payment_id).code == "nothing_left"
    assert kinds(city, payment_id) == []
