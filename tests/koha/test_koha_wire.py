"""The pure half of the Koha adapter: the table of settle outcomes, amounts, lines, notes, titles."""

from __future__ import annotations

import json
import os
import ssl
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ils_payment_koha import patrons, settling, titles, wire
from ils_payment_koha.answers import Answer, Shape
from ils_payment_koha.client import NotSentError, failure

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Applied, CreditOrder, NotApplied, OrderLine, PatronRef, Unclear
from tests.transport_errors import tls

PATRON = PatronRef("4")
READ_AT = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)

BODIES = {
    Shape.ERROR: {"error": "Patron not found."},
    Shape.CODE: {"error": "Something went wrong.", "error_code": "internal_server_error"},
    Shape.PERMISSIONS: {"error": "Authorization failure.", "required_permissions": {"updatecharges": "1"}},
    Shape.ERRORS: {"errors": [{"message": "Not Found.", "path": "/"}], "status": 404},
    Shape.LIST: [{"message": "Malformed query string", "path": "/query/x"}],
    Shape.OTHER: None,
}
PERMANENT, MENDABLE = "certainly not, for good", "certainly not, can be mended"
CERTAINLY_NOT = {
    (400, Shape.ERRORS): PERMANENT,
    (400, Shape.LIST): PERMANENT,
    (401, Shape.ERROR): MENDABLE,
    (403, Shape.ERROR): MENDABLE,
    (403, Shape.PERMISSIONS): MENDABLE,
    (404, Shape.ERROR): PERMANENT,
    (404, Shape.ERRORS): MENDABLE,
    **{(status, shape): MENDABLE for status in (413, 429) for shape in Shape},
}
STATUSES = (
    *(200, 202, 204, 301, 302, 307, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 413, 418),
    *(422, 429, 499, 500, 501, 502, 503, 504, 507, 520, 524, 599),
)


def order(**changes):
    lines = (
        OrderLine(ref="2", claim_key="2", cents=450, kind="OVERDUE"),
        OrderLine(ref="3", claim_key="3", cents=150, kind="RESERVE"),
    )
    fields: dict[str, Any] = {
        "patron": PATRON,
        "marker": "ILSP-7K3M9Q-4",
        "cents": 600,
        "currency": "EUR",
        "method": "card",
        "lines": lines,
    }
    return CreditOrder(**(fields | changes))


def line(ref="2", cents=450, **changes):
    return OrderLine(ref=ref, claim_key=str(ref), cents=cents, kind="OVERDUE")


def created(**changes):
    body = {
        "account_line_id": 170,
        "amount": Decimal("-6.0"),
        "amount_outstanding": Decimal("0.0"),
        "internal_note": "ILSP-7K3M9Q-4",
        "patron_id": 4,
    }
    return Answer(201, body | changes)


# --- outcomes of the money call ---------------------------------------------------------------


@pytest.mark.parametrize("shape", Shape)
def test_each_error_body_of_koha_is_told_apart(shape):
    assert Answer(400, BODIES[shape]).shape is shape


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_and_error_body_has_one_outcome(status, shape):
    outcome = settling.settle_outcome(Answer(status, BODIES[shape]), order())
    expected = CERTAINLY_NOT.get((status, shape))
    if expected is None:
        assert isinstance(outcome, Unclear)
    else:
        assert isinstance(outcome, NotApplied)
        assert outcome.permanent is (expected == PERMANENT)
    assert outcome.reason.startswith("koha_")


def test_every_row_of_the_table_decides_something():
    answers = [Answer(status, body) for status in (*STATUSES, 201) for body in BODIES.values()]
    deciding = {next(row for row in settling.OUTCOMES if row.fits(answer)) for answer in answers}
    assert deciding == set(settling.OUTCOMES)


def test_created_with_the_ordered_amount_is_applied():
    assert settling.settle_outcome(created(), order()) == Applied(remote_ref="170", applied=600, unapplied=0)


def test_what_no_fee_took_is_told():
    outcome = settling.settle_outcome(created(amount_outstanding=Decimal("-1.5")), order())
    assert outcome == Applied(remote_ref="170", applied=450, unapplied=150)


def test_the_noise_of_floating_point_in_the_rest_is_nothing():
    outcome = settling.settle_outcome(created(amount_outstanding=Decimal("-5.55111512312578e-17")), order())
    assert outcome == Applied(remote_ref="170", applied=600, unapplied=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Decimal("-6.01")},
        {"amount": Decimal("6.0")},
        {"amount": Decimal("-1e22")},
        {"amount": Decimal("-6.005")},
        {"amount": "-6.0"},
        {"amount": None},
        {"amount": True},
        {"amount_outstanding": Decimal("0.5")},
        {"amount_outstanding": Decimal("-6.5")},
        {"amount_outstanding": Decimal("-0.005")},
        {"amount_outstanding": None},
        {"account_line_id": None},
        {"account_line_id": 0},
        {"account_line_id": "170"},
        {"account_line_id": True},
        {"internal_note": "another"},
        {"internal_note": None},
        {"patron_id": 5},
        {"patron_id": None},
    ],
)
def test_created_with_anything_else_is_unclear(changes):
    assert isinstance(settling.settle_outcome(created(**changes), order()), Unclear)


@pytest.mark.parametrize("body", [None, [], {}, "ok", 170])
def test_created_without_a_readable_credit_is_unclear(body):
    assert isinstance(settling.settle_outcome(Answer(201, body), order()), Unclear)


def test_an_old_answer_without_amounts_is_unclear():
    outcome = settling.settle_outcome(Answer(200, {"account_line_id": 170}), order())
    assert outcome == Unclear(reason="koha_200_without_amounts")


# --- the money call ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"currency": "CHF"}, "order_currency_differs"),
        ({"patron": "4/../5"}, "order_patron_is_no_koha_id"),
        ({"patron": "0"}, "order_patron_is_no_koha_id"),
        ({"patron": "٤"}, "order_patron_is_no_koha_id"),
        ({"marker": ""}, "order_marker_malformed"),
        ({"marker": "ILSP-" + "X" * 26}, "order_marker_malformed"),
        ({"marker": "ILSP %"}, "order_marker_malformed"),
        ({"lines": ()}, "order_lines_malformed"),
        ({"lines": (line(ref=None, cents=600),)}, "order_lines_malformed"),
        ({"lines": (line(ref="-2", cents=600),)}, "order_lines_malformed"),
        ({"lines": (line(ref="2x", cents=600),)}, "order_lines_malformed"),
        ({"lines": (line(cents=300), line(cents=300))}, "order_lines_malformed"),
        ({"cents": 0}, "order_amount_malformed"),
        ({"cents": -600}, "order_amount_malformed"),
        ({"cents": 10**9, "lines": (line(cents=10**9),)}, "order_amount_malformed"),
        ({"lines": (line(ref="2", cents=-100), line(ref="3", cents=700))}, "order_amount_malformed"),
        ({"cents": 599}, "order_sum_differs"),
    ],
)
def test_an_order_that_is_visibly_wrong_is_named(changes, problem):
    assert settling.order_problem(order(**changes), "EUR") == problem


def test_an_order_that_is_right_has_no_problem():
    assert settling.order_problem(order(), "EUR") is None


@pytest.mark.parametrize(
    ("cents", "text"), [(1, "0.01"), (30, "0.30"), (1250, "12.50"), (29, "0.29"), (99_999_999, "999999.99")]
)
def test_the_amount_is_written_out_exactly(cents, text):
    one = order(cents=cents, lines=(line(cents=cents),))
    sent = settling.credit_text(one, payment_type="ONLINE", description="é", library_id=None)
    assert f'"amount": {text},' in sent
    body = json.loads(sent, parse_float=Decimal)
    assert body == {
        "amount": Decimal(text),
        "credit_type": "PAYMENT",
        "account_lines_ids": [2],
        "payment_type": "ONLINE",
        "description": "é",
        "note": "ILSP-7K3M9Q-4",
    }


def test_the_branch_is_sent_where_one_is_configured():
    sent = settling.credit_text(order(), payment_type="ONLINE", description="d", library_id="HBZ")
    assert json.loads(sent)["library_id"] == "HBZ"
    assert json.loads(sent)["account_lines_ids"] == [2, 3]


# --- the account ------------------------------------------------------------------------------


def debit(ref=2, outstanding="4.5", **changes):
    return {
        "account_line_id": ref,
        "amount": Decimal("20.0"),
        "amount_outstanding": Decimal(outstanding),
        "date": "2026-11-21T23:52:22+01:00",
        "debit_type": "OVERDUE",
        "description": "Säumnisgebühr",
        "item_id": 1,
        "patron_id": 4,
        "status": "UNRETURNED",
    } | changes


def books(debits, credits_=(), balance=None, **totals):
    owed = sum((entry["amount_outstanding"] for entry in debits), Decimal(0))
    credit = sum((entry["amount_outstanding"] for entry in credits_), Decimal(0))
    return {
        "balance": Decimal(balance) if balance is not None else owed + credit,
        "outstanding_debits": {"lines": list(debits), "total": totals.get("owed", owed)},
        "outstanding_credits": {"lines": list(credits_), "total": totals.get("credit", credit)},
    }


def read(body):
    return wire.account(body, PATRON, "EUR", READ_AT)


def test_a_line_becomes_a_fee():
    account = read(books([debit()]))
    (fee,) = account.fees
    assert (fee.ref, fee.claim_key, fee.cents, fee.kind, fee.text) == (
        *("2", "2", 450, "OVERDUE", "Säumnisgebühr"),
    )
    assert (fee.status, fee.growing, fee.item, fee.payable) == ("UNRETURNED", True, "1", True)
    # The day is the library's, not that of Greenwich.
    assert fee.since == date(2026, 11, 21)
    assert (account.balance, account.open_credit, account.complete, account.read_at) == (
        *(450, 0, True, READ_AT),
    )


@pytest.mark.parametrize("status", ["RETURNED", "RENEWED", None])
def test_a_fine_of_a_returned_item_grows_no_more(status):
    assert read(books([debit(status=status)])).fees[0].growing is False


def test_a_line_without_text_keeps_its_kind():
    (fee,) = read(books([debit(description="", debit_type="ACCOUNT", item_id=None, status=None)])).fees
    assert (fee.kind, fee.text, fee.item) == ("ACCOUNT", "", None)


def test_an_empty_account_has_integer_totals():
    empty = {"lines": [], "total": 0}
    account = read({"balance": 0, "outstanding_debits": empty, "outstanding_credits": empty})
    assert (account.balance, account.open_credit, account.fees, account.complete) == (0, 0, (), True)


def test_an_open_credit_counts_against_the_balance():
    account = read(books([debit(outstanding="12.0")], [debit(9, "-5.0", debit_type=None)]))
    assert (account.balance, account.open_credit) == (700, 500)


def test_lines_that_are_not_open_are_left_out():
    account = read(books([debit(), debit(3, "0.0")]))
    assert [fee.ref for fee in account.fees] == ["2"]
    assert account.complete


@pytest.mark.parametrize("noisy", ["0.30000000000000004", "0.29999999999999998890", "0.3", "0.300"])
def test_binary_noise_is_no_money(noisy):
    account = read(books([debit(2, "0.1"), debit(3, "0.2")], balance=noisy, owed=Decimal(noisy)))
    assert account.balance == 30
    assert account.complete
    assert read(books([debit(2, noisy)])).fees[0].cents == 30


@pytest.mark.parametrize("odd", ["1.005", "0.495", "0.001", "1.499", "12.000001"])
def test_a_part_of_a_cent_is_never_rounded_away(odd):
    with pytest.raises(RemoteGarbledError) as caught:
        read(books([debit(77, odd)]))
    assert "account line 77" in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    "totals", [{"balance": "4.4"}, {"owed": Decimal("5.0")}, {"credit": Decimal("-0.1")}]
)
def test_totals_that_do_not_fit_the_lines_make_the_list_incomplete(totals):
    assert read(books([debit()], **totals)).complete is False


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        books([debit(patron_id=5)]),
        books([debit(), debit()]),
        books([debit(0)]),
        books([debit(None)]),
        books([debit(date="yesterday")]),
        books([debit(date="2026-11-21T23:52:22")]),
        books([debit()]) | {"balance": "4.5"},
        books([debit()]) | {"balance": True},
        books([debit()]) | {"balance": Decimal("1e15")},
        books([debit()]) | {"outstanding_debits": {"lines": {}, "total": 0}},
    ],
)
def test_an_answer_against_the_specification_is_garbled(body):
    with pytest.raises(RemoteGarbledError):
        read(body)


# --- credits, patrons, cards ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "marker"),
    [
        ("ILSP-7K3M9Q-4", "ILSP-7K3M9Q-4"),
        ("ILSP-7K3M9Q-4 geprüft, mb", "ILSP-7K3M9Q-4"),
        ("siehe ILSP-7K3M9Q-4", "ILSP-7K3M9Q-4"),
        ("XILSP-7K3M9Q-4", None),
        ("ILSP-7K3M9Q-45", None),
        ("Frau Meier bar bezahlt", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_only_a_marker_passes_from_a_note(note, marker):
    assert wire.marker_in(note) == marker


def test_a_credit_is_positive_and_in_utc():
    found = wire.credit(
        {
            "account_line_id": 171,
            "amount": Decimal("-2.5"),
            "amount_outstanding": Decimal("-0.5"),
            "internal_note": "ILSP-7K3M9Q-4",
            "date": "2026-11-21T18:06:48+01:00",
        },
        "EUR",
    )
    assert (found.remote_ref, found.marker, found.cents, found.unapplied) == (
        *("171", "ILSP-7K3M9Q-4", 250, 50),
    )
    assert found.at == datetime(2026, 11, 21, 17, 6, 48, tzinfo=UTC)


@pytest.mark.parametrize("changes", [{"account_line_id": None}, {"amount": Decimal("-1.005")}])
def test_a_credit_that_cannot_be_read_is_garbled(changes):
    body = {"account_line_id": 1, "amount": -1, "amount_outstanding": 0, "date": "2026-11-21T18:06:48+01:00"}
    with pytest.raises(RemoteGarbledError):
        wire.credit(body | changes, "EUR")


def test_two_patrons_of_one_card_number_are_garbled():
    with pytest.raises(RemoteGarbledError) as caught:
        patrons.patron_of([{"cardnumber": "AB1", "patron_id": n} for n in (1, 2)], "AB1")
    assert "AB1" not in str(caught.value)


def test_a_card_number_in_other_letters_is_another():
    assert patrons.patron_of([{"cardnumber": "ab1", "patron_id": 1}], "AB1") is None


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"expiry_date": "2026-11-20"}, ["expired"]),
        ({"expiry_date": "2026-11-21"}, []),
        ({"expiry_date": None}, []),
        ({"restricted": True}, ["restriction"]),
        ({"patron_card_lost": True, "incorrect_address": True}, ["lost_card", "address"]),
    ],
)
def test_what_blocks_a_patron(changes, kinds):
    body = {
        "cardnumber": "1",
        "expiry_date": "2027-04-21",
        "category_id": "ERW",
        "date_of_birth": "1980-02-29",
        "restricted": False,
        "patron_card_lost": False,
        "incorrect_address": False,
    }
    card = patrons.card(body | changes, date(2026, 11, 21))
    assert [block.kind for block in card.blocks] == kinds
    assert (card.number, card.category, card.birth_date) == ("1", "ERW", date(1980, 2, 29))


# --- titles -----------------------------------------------------------------------------------


def marc(*fields):
    return {"leader": "00320nam a2200133 i 4500", "fields": list(fields)}


def field(tag, **subfields):
    return {tag: {"ind1": "1", "ind2": "0", "subfields": [{code: text} for code, text in subfields.items()]}}


@pytest.mark.parametrize(
    ("record", "title"),
    [
        (
            marc(field("100", a="Mustermann, Jörg"), field("245", a="Die Bücher :", b="Roman /", c="JM")),
            "Die Bücher : Roman / Mustermann, Jörg",
        ),
        (marc(field("245", a="\x98Der\x9c Sommer")), "Der Sommer"),
        (marc(field("100", a="Niemand")), None),
        (marc(), None),
        ({"leader": "x"}, None),
        ({}, None),
        ({"fields": [1]}, None),
    ],
)
def test_titles_of_marc_records(record, title):
    before = json.dumps(record)
    assert titles.title(record) == title
    assert json.dumps(record) == before


# --- what a transport error means -------------------------------------------------------------


def test_a_rejected_certificate_has_a_mend_of_its_own():
    rejected = ssl.SSLCertVerificationError(1, "")
    rejected.verify_message = "certificate has expired"
    found = failure(tls(rejected))
    assert isinstance(found, NotSentError)
    assert found.what == "Koha's TLS certificate is not accepted: certificate has expired."
    assert "ca_bundle" in found.mend


def test_the_day_of_koha_s_own_last_renewal_is_told():
    assert patrons.card({"date_renewed": "2026-11-21"}, date(2026, 11, 21)).renewed_on == date(2026, 11, 21)
    assert patrons.card({"date_renewed": None}, date(2026, 11, 21)).renewed_on is None


@pytest.mark.parametrize("changes", [{"expiry_date": "soon"}, {"date_of_birth": 5}, {"date_renewed": "x"}])
def test_a_card_without_readable_days_is_garbled(changes):
    with pytest.raises(RemoteGarbledError):
        patrons.card(changes, date(2026, 11, 21))


# --- the recordings, where they are at hand ----------------------------------------------------

RECORDED = Path(os.environ.get("ILS_PAYMENT_SHARED_DATA", "")) / "koha-live"

if "ILS_PAYMENT_SHARED_DATA" in os.environ:

    def exchanges(*files):
        for name in files:
            text = (RECORDED / f"{name}.json").read_text()
            yield from json.loads(text, parse_float=Decimal)["exchanges"]

    def answers(method, ending, *files):
        for entry in exchanges(*files):
            request, response = entry.get("request", {}), entry.get("response")
            path = request.get("path", "").partition("?")[0]
            if response and request["method"] == method and path.endswith(ending):
                yield entry["label"], path, request, Answer(response["status"], response["body"])

    def test_what_koha_booked_in_the_recordings_is_never_called_not_applied():
        """Each wrong credit was recorded together with the account lines that it left behind."""
        certain, booked = 0, 0
        recorded = list(exchanges("credits-wrong"))
        for entry, behind in pairwise(recorded):
            if "response" not in entry or behind["label"] != "-> new lines | changed debits":
                continue
            answer = Answer(entry["response"]["status"], entry["response"]["body"])
            outcome = settling.settle_outcome(answer, order())
            certain += isinstance(outcome, NotApplied)
            booked += bool(behind["observed"][0])
            # None of these is the credit that was ordered, so none may be taken for it either.
            assert not isinstance(outcome, Applied), entry["label"]
            assert not (isinstance(outcome, NotApplied) and any(behind["observed"])), entry["label"]
        assert certain >= 10
        assert booked >= 20

    def test_every_recorded_success_is_read_as_the_credit_that_was_ordered():
        found = 0
        for label, path, request, answer in answers("POST", "/account/credits", "credits", "restrictions"):
            body = request["body"]
            cents = int(body["amount"] * 100)
            asked = order(
                patron=path.split("/")[4],
                marker=body.get("note", ""),
                cents=cents,
                lines=(line(cents=cents),),
            )
            outcome = settling.settle_outcome(answer, asked)
            assert isinstance(outcome, Applied), label
            assert outcome.applied + outcome.unapplied == cents
            found += 1
        assert found >= 8

    def test_every_recorded_account_is_read_completely():
        found = 0
        for label, path, _, answer in answers("GET", "/account", "account-read", "credits", "stuck-credit"):
            if answer.status == 200:
                account = wire.account(answer.body, PatronRef(path.split("/")[4]), "EUR", READ_AT)
                assert account.complete, label
                found += 1
        assert found >= 12

    def test_every_recorded_credit_list_is_read():
        lists = [
            a.body for *_, a in answers("GET", "/account/credits", "credits", "extra") if a.status == 200
        ]
        found = [wire.credit(entry, "EUR") for entries in lists for entry in wire.lines(entries)]
        assert len(found) >= 8
        assert all(entry.cents > 0 and 0 <= entry.unapplied <= entry.cents for entry in found)

    def test_every_recorded_patron_is_read():
        cards = [
            patrons.card(a.body, date(2026, 11, 21))
            for _, path, _, a in answers("GET", "", "patrons")
            if a.status == 200 and path.rsplit("/", 1)[1].isdigit()
        ]
        kinds = {block.kind for card in cards for block in card.blocks}
        assert len(cards) == 7
        assert {"expired", "restriction", "lost_card"} <= kinds

else:

    def test_without_the_recordings_nothing_is_compared():
        """See CONTRIBUTING.md: the recordings are not part of this project."""
        assert "ILS_PAYMENT_SHARED_DATA" not in os.environ
