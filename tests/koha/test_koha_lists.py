"""Cards that end soon, and what patron categories cost, as Koha lists them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import structlog
from ils_payment_koha import lookups, patrons
from ils_payment_koha.simulator import KohaHabits, KohaSimulator

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import CategoryFee, ExpiringCard, PatronRef
from ils_payment.ports import Expiring, Pricing

SINCE, UNTIL = date(2027, 3, 1), date(2027, 3, 31)


def add(koha, number, expiry, **record: Any):
    """A patron whose card ends on *expiry*; the id is returned as it passes the door."""
    fields = {"surname": f"P{number}", "category_id": "ERW", "library_id": "NORD", "expiry_date": expiry}
    return PatronRef(str(koha.add_patron(f"9{number:05}", "x", charge=False, **(fields | record))))


# --- cards that end soon ------------------------------------------------------------------------


def test_listing_is_declared_and_implemented(adapter):
    assert adapter.capabilities().lists_expiring
    assert isinstance(adapter, Expiring)


def test_cards_of_these_days_are_listed_with_mail_and_language_as_far_as_there_are(adapter, koha):
    add(koha, 1, "2027-02-28", email="too@soon.example")
    first = add(koha, 2, "2027-03-01", email=" first@day.example ", lang="en", category_id="KIND")
    last = add(koha, 3, "2027-03-31")
    add(koha, 4, "2027-04-01")
    add(koha, 5, None)
    assert adapter.expiring(SINCE, UNTIL) == [
        ExpiringCard(
            patron=first,
            valid_until=SINCE,
            category="KIND",
            email="first@day.example",
            language="en",
        ),
        ExpiringCard(patron=last, valid_until=UNTIL, category="ERW", email=None, language=None),
    ]


def test_nobody_is_listed_on_days_without_an_end(adapter):
    assert adapter.expiring(date(2040, 1, 1), date(2040, 1, 2)) == []
    assert adapter.expiring(UNTIL, SINCE) == []


def test_many_cards_are_listed_each_once_however_they_are_paged(adapter, koha, monkeypatch):
    monkeypatch.setattr(lookups, "_PAGE", 7)
    everybody = [add(koha, number, "2027-03-15") for number in range(21)]
    assert [card.patron for card in adapter.expiring(SINCE, UNTIL)] == everybody
    assert koha.truth()["requests"]["patrons.list"] == 3


def test_a_card_that_is_renewed_while_they_are_listed_pushes_nobody_out_of_sight(adapter, koha, monkeypatch):
    monkeypatch.setattr(lookups, "_PAGE", 5)
    everybody = [add(koha, number, "2027-03-15") for number in range(12)]
    answer = koha.handle

    def renewing_the_first(request):
        reply = answer(request)
        if request.path.endswith("/patrons"):
            koha.change(int(everybody[0]), expiry_date="2028-03-15")
        return reply

    monkeypatch.setattr(koha, "handle", renewing_the_first)
    assert [card.patron for card in adapter.expiring(SINCE, UNTIL)] == everybody


def test_patrons_whom_koha_withholds_are_left_out_and_counted(canned, connect):
    rows = [{"patron_id": 5, "expiry_date": None}, {"patron_id": 6, "expiry_date": "2027-03-02"}]
    remote = canned(200, json.dumps(rows).encode(), ("X-Total-Count", "2"))
    with structlog.testing.capture_logs() as logs:
        (card,) = connect(remote).expiring(SINCE, UNTIL)
    assert (card.patron, card.category, card.email) == ("6", "", None)
    assert [(entry["event"], entry["patrons"]) for entry in logs] == [("koha_expiring_left_out", 1)]


@pytest.mark.parametrize(
    "rows",
    [
        [{"patron_id": 6, "expiry_date": "2027-03-02"}, {"patron_id": 5, "expiry_date": "2027-03-02"}],
        [{"patron_id": 5, "expiry_date": "2027-03-02"}, {"patron_id": 5, "expiry_date": "2027-03-02"}],
        [{"patron_id": None, "expiry_date": "2027-03-02"}],
        [{"expiry_date": "2027-03-02"}],
        [{"patron_id": 5, "expiry_date": "31.03.2027"}],
        ["x"],
        {"error": "x"},
    ],
)
def test_a_list_that_is_none_or_in_another_order_is_garbled(canned, connect, rows):
    with pytest.raises(RemoteGarbledError):
        connect(canned(200, json.dumps(rows).encode())).expiring(SINCE, UNTIL)


def test_a_list_that_never_ends_is_garbled_instead_of_read_for_ever(canned, connect):
    rows = [{"patron_id": 5, "expiry_date": "2027-03-02"}]
    remote = canned(200, json.dumps(rows).encode(), ("X-Total-Count", "9"))
    with pytest.raises(RemoteGarbledError, match="another order"):
        connect(remote).expiring(SINCE, UNTIL)


def test_half_a_list_is_no_list(adapter, koha, monkeypatch):
    monkeypatch.setattr(lookups, "_PAGE", 2)
    for number in range(4):
        add(koha, number, "2027-03-15")
    answer, asked = koha.handle, []

    def failing_at_the_second(request):
        if request.path.endswith("/patrons"):
            asked.append(request)
            if len(asked) == 2:
                koha.fail_next(status=503)
        return answer(request)

    monkeypatch.setattr(koha, "handle", failing_at_the_second)
    with pytest.raises(RemoteUnavailableError):
        adapter.expiring(SINCE, UNTIL)


# --- what categories cost -----------------------------------------------------------------------


@pytest.fixture
def newer():
    """A Koha of a version that shows its patron categories, to a service patron who may see them."""
    koha = KohaSimulator.demo(habits=KohaHabits(newer=True))
    koha.set_rights(2, ["borrowers", "parameters:manage_patron_categories"])
    return koha


def test_prices_are_declared_only_where_the_library_chose_it(connect, koha):
    assert not connect(koha).capabilities().prices_categories
    adapter = connect(koha, category_fees=True)
    assert adapter.capabilities().prices_categories
    assert isinstance(adapter, Pricing)


def test_categories_are_listed_with_fee_and_period(connect, newer):
    newer.add_category("JUBI", 1050, name="Jubiläum", until=date(2027, 12, 31))
    newer.add_category("HALB", 1, months=6)
    fees = {fee.category: fee for fee in connect(newer, category_fees=True).category_fees()}
    assert fees["ERW"] == CategoryFee(category="ERW", name="Erwachsene", cents=1500, months=12)
    assert fees["KIND"] == CategoryFee(category="KIND", name="Kinder", cents=0, months=12)
    assert fees["JUBI"] == CategoryFee(category="JUBI", name="Jubiläum", cents=1050, months=None)
    assert (fees["HALB"].cents, fees["HALB"].months) == (1, 6)


def test_a_koha_that_shows_none_says_so_instead_of_no_fees(connect, koha):
    with pytest.raises(RemoteRefusedError):
        connect(koha, category_fees=True).category_fees()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"patron_category_id": "A", "enrolment_fee": Decimal("10.005")}, "category A"),
        ({"patron_category_id": "A", "enrolment_fee": "10.00"}, "category A"),
        ({"patron_category_id": "A", "enrolment_fee": True}, "category A"),
        ({"patron_category_id": "A", "enrolment_fee": Decimal(-1)}, "below zero"),
        ({"patron_category_id": "", "enrolment_fee": Decimal(1)}, "without a code"),
        ({"enrolment_fee": Decimal(1)}, "without a code"),
        ([], "object"),
    ],
)
def test_a_category_that_cannot_be_compared_is_garbled(row, message):
    with pytest.raises(RemoteGarbledError, match=message):
        patrons.category_fee(row, "EUR")


@pytest.mark.parametrize(
    ("row", "cents", "months"),
    [
        ({"enrolment_fee": None, "enrolment_period": None}, 0, None),
        ({"enrolment_fee": Decimal("10.0"), "enrolment_period": 0}, 1000, None),
        ({"enrolment_fee": 10, "enrolment_period": 24}, 1000, 24),
    ],
)
def test_a_category_without_fee_or_months_is_read_as_such(row, cents, months):
    fee = patrons.category_fee(row | {"patron_category_id": "A"}, "EUR")
    assert (fee.cents, fee.months) == (cents, months)
