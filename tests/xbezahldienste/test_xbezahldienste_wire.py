"""The pure translation: requests, exact amounts, and what each word of the interface means."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ils_payment_xbezahldienste import wire
from ils_payment_xbezahldienste.simulator.book import SimulatedService
from ils_payment_xbezahldienste.simulator.shapes import check_request

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import AttemptLine, PayState
from tests.xbezahldienste.conftest import an_attempt, config_for, of

CONFIG = config_for("https://epayment.example/api/")


def request(attempt=None, config=CONFIG, payee="Stadtbücherei Lindental"):
    return wire.request_for(attempt or an_attempt(), config, payee)


def transaction(status="INITIAL", told=None, **changes):
    """What the interface answers about the request of ``an_attempt``."""
    echo = wire.parsed(wire.as_text(request())) | changes
    information = {
        "transactionId": "TX-1",
        "transactionRedirectUrl": "https://epayment.example/paypage/TX-1",
        "status": status,
        **(told or {}),
    }
    return {"paymentInformation": information, "paymentRequest": echo}


# --- what is sent --------------------------------------------------------------------------------


def test_the_request_is_what_the_interface_asks_for():
    assert json.loads(wire.as_text(request()), parse_float=str) == {
        "requestId": "KEY0000000000000000000001",
        "requestTimestamp": "2026-11-21T21:00:00.000Z",
        "currency": "EUR",
        "grosAmount": "12.50",
        "purpose": "BIBLIOTHEK ILSP-7K3M9Q-4",
        "description": "Stadtbücherei Lindental ILSP-7K3M9Q-4",
        "redirectUrl": "https://pay.example/town/return/PAY1?t=abc",
        "items": [
            {
                "id": "1",
                "reference": "PAY0000000000000000000001",
                "description": "Säumnisgebühr",
                "taxRate": "0.00",
                "quantity": 1,
                "totalNetAmount": "9.50",
                "totalTaxAmount": "0.00",
                "singleNetAmount": "9.50",
                "singleTaxAmount": "0.00",
                "bookingData": {"HHST": "4711", "Objektnummer": "331100"},
            },
            {
                "id": "2",
                "reference": "PAY0000000000000000000001",
                "description": "Vormerkung",
                "taxRate": "0.00",
                "quantity": 1,
                "totalNetAmount": "3.00",
                "totalTaxAmount": "0.00",
                "singleNetAmount": "3.00",
                "singleTaxAmount": "0.00",
            },
        ],
    }


def test_the_same_attempt_is_always_the_same_text():
    assert wire.as_text(request()) == wire.as_text(request())


@pytest.mark.parametrize(
    ("cents", "number"),
    [
        (1, "0.01"),
        (9, "0.09"),
        (10, "0.10"),
        (99, "0.99"),
        (100, "1.00"),
        (1250, "12.50"),
        (110, "1.10"),
        (29, "0.29"),
        (999_999_00, "999999.00"),
        (99_999_999, "999999.99"),
    ],
)
def test_cents_become_the_exact_decimal_number_and_come_back(cents, number):
    text = wire.as_text(request(of(cents)))
    assert f'"grosAmount":{number},' in text
    assert wire.amount_of(wire.parsed(text)) == cents


@given(st.integers(1, 999_999_00), st.integers(1, 98))
def test_no_amount_changes_on_its_way_and_every_request_is_allowed(cents, count):
    parts = [1] * count if cents > count else []
    lines = tuple(AttemptLine(text="Gebühr", cents=part) for part in [*parts, cents - len(parts)])
    sent = wire.parsed(wire.as_text(request(an_attempt(cents=cents, lines=lines))))
    check_request(sent, SimulatedService())
    assert wire.amount_of(sent) == cents


def test_the_purpose_never_has_more_than_27_characters():
    config = config_for("https://epayment.example/api/", purpose="STADTBUECHERE")
    assert request(config=config)["purpose"] == "STADTBUECHERE ILSP-7K3M9Q-4"
    assert len(request(config=config)["purpose"]) == 27
    assert request(an_attempt(number=""))["purpose"] == "BIBLIOTHEK PAY0000000000000"


def test_texts_have_only_the_characters_that_are_allowed():
    lines = (AttemptLine(text="Gebühr „Ärger“ <b>&\n\t50 % = (1/2)" + "x" * 300, cents=100),)
    sent = request(an_attempt(cents=100, lines=lines), payee="Bücherei “Nord” & Süd")
    assert sent["description"] == "Bücherei Nord Süd ILSP-7K3M9Q-4"
    assert sent["items"][0]["description"].startswith("Gebühr Ärger b 50 1 2 x")
    assert len(sent["items"][0]["description"]) == wire.TEXT_LIMIT
    check_request(sent, SimulatedService())


def test_a_line_without_any_allowed_character_is_named_by_its_number():
    sent = request(an_attempt(cents=100, lines=(AttemptLine(text="≈≈≈", cents=100),)))
    assert sent["items"][0]["description"] == "1"


def test_what_the_treasury_wants_is_filled_in_from_the_accounts_of_the_fee_kind():
    booking = {"HHST": "{cost_centre}.{account}", "Mandant": "0815", "leer": "{account}"}
    config = config_for("https://epayment.example/api/", booking_data=booking)
    with_accounts, without = request(config=config)["items"]
    assert with_accounts["bookingData"] == {"HHST": "4711.331100", "Mandant": "0815", "leer": "331100"}
    assert without["bookingData"] == {"HHST": ".", "Mandant": "0815"}


def test_more_lines_than_the_interface_takes_become_sums_by_their_accounts():
    lines = [AttemptLine(text="Säumnis", cents=50, cost_centre="1", account="a")] * 60
    lines += [AttemptLine(text="Vormerkung", cents=100, cost_centre="2", account="b")] * 50
    sent = request(an_attempt(cents=8000, lines=tuple(lines)))
    told = [(one["description"], str(one["totalNetAmount"]), one["bookingData"]) for one in sent["items"]]
    assert told == [
        ("60 Gebühren", "30.00", {"HHST": "1", "Objektnummer": "a"}),
        ("50 Gebühren", "50.00", {"HHST": "2", "Objektnummer": "b"}),
    ]
    check_request(sent, SimulatedService())


def test_99_lines_stay_lines():
    lines = (AttemptLine(text="Säumnis", cents=1),) * 99
    assert len(request(an_attempt(cents=99, lines=lines))["items"]) == 99


def test_lines_that_do_not_add_up_are_never_sent():
    with pytest.raises(ValueError, match="do not add up"):
        request(an_attempt(cents=1251))


def test_another_currency_is_never_sent():
    with pytest.raises(ValueError, match="no other currency"):
        request(an_attempt(currency="CHF"))


# --- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state", "captured", "final"),
    [
        ("INITIAL", PayState.OPEN, 0, False),
        ("PAYED", PayState.PAID, 1250, False),
        ("CANCELED", PayState.VOID, 0, True),
        ("FAILED", PayState.VOID, 0, True),
        # No word of the interface: whatever is not known is pending and ends nothing.
        ("PAID", PayState.PENDING, 0, False),
        ("payed", PayState.PENDING, 0, False),
        ("CANCELLED", PayState.PENDING, 0, False),
        ("", PayState.PENDING, 0, False),
        (None, PayState.PENDING, 0, False),
        (1, PayState.PENDING, 0, False),
    ],
)
def test_each_status_means_one_thing(status, state, captured, final):
    seen = wire.observation(transaction(status), live=True)
    assert (seen.state, seen.captured, seen.final, seen.currency) == (state, captured, final, "EUR")
    assert (seen.reference, seen.live, seen.account) == ("PAY0000000000000000000001", True, "")


def test_every_status_of_the_interface_is_in_the_table():
    assert set(wire.STATES) == {"INITIAL", "PAYED", "CANCELED", "FAILED"}


@pytest.mark.parametrize(
    ("status", "code", "refused"),
    [
        (400, "VALIDATION_ERROR", True),
        (400, "CALCULATION_ERROR", True),
        (400, "BOOKING_DATA_MISSING", True),
        (403, "FORBIDDEN", True),
        (403, "NO_VALID_ORIGINATOR_OR_ENDPOINT", True),
        (404, "NO_VALID_ORIGINATOR_OR_DESTINATION", True),
        (401, "", True),
        (403, "", True),
        (404, "", True),
        (400, "", False),
        (400, "PAYMENT_EXISTS", False),
        (409, "PAYMENT_EXISTS", False),
        (403, "PAYMENT_EXISTS", False),
        (400, "UNSPECIFIED", False),
        (403, "UNSPECIFIED", False),
        (400, "SOMETHING_NEW", False),
        (408, "", False),
        (409, "", False),
        (429, "", False),
        (500, "VALIDATION_ERROR", False),
        (502, "", False),
        (503, "", False),
        (302, "", False),
        (204, "", False),
    ],
)
def test_only_answers_from_before_anything_was_made_are_refusals(status, code, refused):
    assert wire.is_refused(status, code) is refused


@pytest.mark.parametrize(
    ("number", "cents"),
    [("12.5", 1250), ("12.50", 1250), ("12", 1200), ("1.25E1", 1250), ("12.500", 1250), ("0", 0)],
)
def test_a_number_is_read_digit_by_digit(number, cents):
    assert wire.amount_of(wire.parsed(f'{{"grosAmount": {number}}}')) == cents


@pytest.mark.parametrize(
    "number",
    [
        "12.505",
        "12.5000000000000000000000000000000000000000001",
        "-0.01",
        "1000000",
        "1E999999999",
        "1E-999999999",
        '"12.50"',
        "true",
        "null",
        "[12.5]",
    ],
)
def test_what_is_no_amount_of_money_is_garbled(number):
    with pytest.raises(RemoteGarbledError):
        wire.amount_of(wire.parsed(f'{{"grosAmount": {number}}}'))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Wartung</html>",
        b'{"paymentInformation":',
        b"[]",
        b'"PAYED"',
        b'{"grosAmount": NaN}',
        b'{"grosAmount": Infinity}',
        '{"name": "M\u00fcller"}'.encode("latin-1"),
        b"[" * 100_000,
        b'{"grosAmount": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_object_is_garbled(body):
    with pytest.raises(RemoteGarbledError):
        wire.parsed(body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"paymentInformation": None},
        {"paymentRequest": None},
        {"paymentRequest": {"grosAmount": 1, "currency": "EUR"}},
        {"paymentRequest": {"grosAmount": 1, "currency": "EUR", "items": []}},
        {"paymentRequest": {"grosAmount": 1, "items": [{"reference": "x"}]}},
    ],
)
def test_an_answer_without_its_parts_is_garbled_and_decides_nothing(wrong):
    with pytest.raises(RemoteGarbledError):
        wire.observation(transaction("PAYED") | wrong, live=True)


def test_another_amount_currency_or_reference_is_told_as_it_is():
    items = [{"reference": "OTHER"}]
    seen = wire.observation(
        transaction("PAYED", grosAmount=Decimal("12.49"), currency="CHF", items=items), live=False
    )
    assert (seen.captured, seen.currency, seen.reference, seen.live) == (1249, "CHF", "OTHER", False)
    mixed = wire.observation(transaction(items=[{"reference": "A"}, {"reference": "B"}]), live=True)
    assert mixed.reference == ""


def test_the_treasurys_own_number_is_kept_and_nothing_that_a_payer_could_have_typed():
    told = {
        "transactionReference": "KZ0000000815",
        "paymentMethod": "CREDITCARD",
        "statusDetail": "Erika Mustermann",
        "paymentMethodDetail": "4111 1111 1111 1111",
    }
    seen = wire.observation(transaction("PAYED", told), live=True)
    assert seen.money_ref == "KZ0000000815"
    assert seen.evidence == "status PAYED by CREDITCARD, grosAmount 1250 cents"
    odd = wire.observation(transaction("Erika Müller " * 20), live=True)
    assert len(odd.evidence) < 100
    assert " Müller" not in odd.evidence


# --- what came of a request ----------------------------------------------------------------------


def complaint(found):
    return wire.complaint(found, wire.parsed(wire.as_text(request())), CONFIG.origins)


def test_a_right_transaction_has_nothing_to_complain_of():
    assert complaint(transaction()) == ""
    # One that is over has no page any more.
    assert complaint(transaction("PAYED", {"transactionRedirectUrl": None})) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (transaction(requestId="OTHER"), "another requestId"),
        (transaction(grosAmount=Decimal("12.51")), "another amount"),
        (transaction(currency="CHF"), "another amount or currency"),
        (transaction(items=[{"reference": "OTHER"}]), "another reference"),
        (transaction(told={"transactionId": None}), "no id"),
        (transaction(told={"transactionId": "../../status"}), "no id"),
        (transaction(told={"transactionRedirectUrl": None}), "nowhere"),
        (transaction(told={"transactionRedirectUrl": "https://evil.example/paypage"}), "page_origins"),
        (transaction(told={"transactionRedirectUrl": "javascript:alert(1)"}), "nowhere"),
        (transaction() | {"paymentRequest": None}, "paymentRequest is missing"),
        ({}, "paymentInformation is missing"),
    ],
)
def test_a_wrong_transaction_is_told(found, said):
    assert said in complaint(found)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"functionalCode":"VALIDATION_ERROR","detail":"Falsch."}', ("VALIDATION_ERROR", "Falsch.")),
        (b'{"functionalCode":"VALIDATION_ERROR","title":"Fehler"}', ("VALIDATION_ERROR", "Fehler")),
        (b'{"functionalCode":17,"detail":["x"]}', ("", "")),
        (b'{"functionalCode":"<script>"}', ("", "")),
        (b"<html>Wartung</html>", ("", "")),
        (b"", ("", "")),
    ],
)
def test_a_problem_is_read_as_far_as_it_is_one(body, told):
    assert wire.problem(body) == told
