"""A fee that is owed again: the counter-debit, its table of outcomes, and how it is found again."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from ils_payment_koha import charging, settling
from ils_payment_koha.answers import Answer
from ils_payment_koha.config import KohaConfig
from pydantic import SecretStr, ValidationError

from ils_payment.errors import RemoteGarbledError, RemoteUnavailableError
from ils_payment.model import Applied, ChargeOrder, NotApplied, PatronRef, Unclear
from ils_payment.ports import Charging

MARKER, PAID_WITH = "ILSP-7K3M9R-5", "ILSP-7K3M9Q-4"
ADD = "debits.add"


def erika(koha):
    return PatronRef(str(koha.patron_ids["erika"]))


def order(patron: str = "3", **changes: Any) -> ChargeOrder:
    fields: dict[str, Any] = {
        "patron": PatronRef(patron),
        "marker": MARKER,
        "cents": 1250,
        "currency": "EUR",
        "kind": "OVERDUE",
        "settled_with": PAID_WITH,
    }
    return ChargeOrder(**(fields | changes))


def marked(koha, marker=MARKER):
    """The debits in Koha's books that carry the marker, as (cents, open cents, type)."""
    fees = koha.truth()["patrons"][erika(koha)]["fees"].values()
    return [(fee["amount"], fee["outstanding"], fee["type"]) for fee in fees if fee["marker"] == marker]


# --- the journey --------------------------------------------------------------------------------


def test_koha_declares_what_it_implements(adapter):
    assert adapter.capabilities().can_charge
    assert isinstance(adapter, Charging)


def test_a_patron_owes_again_what_went_back(adapter, koha, world):
    before = adapter.account(erika(koha)).balance
    outcome = adapter.charge(order(erika(koha)))
    assert isinstance(outcome, Applied)
    assert (outcome.applied, outcome.unapplied) == (1250, 0)
    account = adapter.account(erika(koha))
    assert account.balance == before + 1250
    (fee,) = [fee for fee in account.fees if fee.ref == outcome.remote_ref]
    assert (fee.cents, fee.kind, fee.growing) == (1250, "MANUAL", False)
    assert PAID_WITH in fee.text
    assert MARKER in fee.text
    assert marked(koha) == [(1250, 1250, "MANUAL")]
    assert world.failpoints == ["koha.charge.before", "koha.charge.after"]


@pytest.mark.parametrize("name", [PAID_WITH, "2026-000123-7", ""])
def test_the_refunded_payment_is_named_by_marker_or_receipt_number(adapter, koha, name):
    outcome = adapter.charge(order(erika(koha), settled_with=name))
    (text,) = [fee.text for fee in adapter.account(erika(koha)).fees if fee.ref == outcome.remote_ref]
    assert f"Beleg {name})" in text


def test_the_debit_is_found_again_by_its_marker_alone_and_exactly(adapter, koha):
    outcome = adapter.charge(order(erika(koha)))
    adapter.charge(order(erika(koha), marker="ILSP-7K3M9S-6", cents=1))
    (found,) = adapter.find_charges(erika(koha), MARKER)
    assert (found.remote_ref, found.marker, found.cents) == (outcome.remote_ref, MARKER, 1250)
    assert found.at is not None
    assert adapter.find_charges(erika(koha), "ILSP-7K3M9T-7") == []
    assert adapter.find_credits(erika(koha), MARKER) == [], "a debit is no credit"


def test_a_debit_that_was_paid_meanwhile_is_found_with_what_it_was(adapter, koha):
    ref = int(adapter.charge(order(erika(koha))).remote_ref)
    koha.accounts.pay(int(erika(koha)), Decimal("12.50"), [ref], credit_type="PAYMENT")
    (found,) = adapter.find_charges(erika(koha), MARKER)
    assert found.cents == 1250


def test_a_note_that_staff_wrote_to_is_still_found_and_a_longer_marker_is_not(adapter, koha):
    patron = int(erika(koha))
    koha.accounts.charge(patron, Decimal(1), "MANUAL", note=f"siehe {MARKER}, Kasse 2")
    koha.accounts.charge(patron, Decimal(2), "MANUAL", note=f"{MARKER}7")
    koha.accounts.charge(patron, Decimal(3), "MANUAL", note=MARKER.lower())
    assert [one.cents for one in adapter.find_charges(erika(koha), MARKER)] == [100]


def test_the_debit_type_and_text_are_the_librarys_to_choose(connect, koha):
    adapter = connect(
        koha,
        charge_type="NEW_CARD",
        charge_types={"LOST": "LOST"},
        charge_description="Wieder offen: {settled_with}",
        library_id="ZENTRALE",
    )
    for kind in ("LOST", "OVERDUE"):
        adapter.charge(order(erika(koha), kind=kind))
    assert [kind for _, _, kind in marked(koha)] == ["LOST", "NEW_CARD"]
    texts = [fee.text for fee in adapter.account(erika(koha)).fees if PAID_WITH in fee.text]
    assert texts == [f"Wieder offen: {PAID_WITH}"] * 2


@pytest.mark.parametrize("kind", ["OVERDUE", "PAYOUT", "VOID", " "])
def test_debit_types_that_mean_something_else_in_koha_are_refused(kind):
    base = {"url": "https://k.example/api/v1", "client_id": "a", "client_secret": SecretStr("b")}
    for fields in ({"charge_type": kind}, {"charge_types": {"LOST": kind}}):
        with pytest.raises(ValidationError, match="owed again"):
            KohaConfig(**base, **fields)


@pytest.mark.parametrize("text", ["{method}", "{", "{marker!r}", "{settled_with:5}"])
def test_a_text_that_could_not_be_filled_in_is_refused(text):
    with pytest.raises(ValidationError, match="settled_with"):
        KohaConfig(url="https://k.example/api/v1", client_id="a", client_secret="b", charge_description=text)


# --- when something goes wrong ------------------------------------------------------------------


def test_a_repeat_owes_twice_so_the_plugin_sends_once(adapter, koha):
    koha.fail_next(status=500, operation=ADD, after_effect=True)
    assert adapter.charge(order(erika(koha))) == Unclear(reason="koha_500")
    assert len(marked(koha)) == 1
    assert koha.truth()["requests"][ADD] == 1
    adapter.charge(order(erika(koha)))
    assert len(adapter.find_charges(erika(koha), MARKER)) == 2


def test_a_lost_answer_is_unclear_and_the_debit_can_be_found(adapter, koha):
    koha.lose_answer(operation=ADD)
    outcome = adapter.charge(order(erika(koha)))
    assert isinstance(outcome, Unclear)
    assert outcome.reason.startswith("koha_answer_lost")
    assert [one.cents for one in adapter.find_charges(erika(koha), MARKER)] == [1250]


def test_a_debit_that_takes_effect_late_appears_late(connect, koha, world):
    koha.world = world_of(koha, world)
    adapter = connect(koha)
    koha.apply_late(0.2, status=504, operation=ADD)
    assert adapter.charge(order(erika(koha))) == Unclear(reason="koha_504")
    assert adapter.find_charges(erika(koha), MARKER) == []
    world.shift += 60
    assert len(adapter.find_charges(erika(koha), MARKER)) == 1


def world_of(koha, world):
    """The simulator's own world with the clock of the test."""

    class Shifted:
        def now(self):
            return koha_now() + timedelta(seconds=world.shift)

        def pause(self, name, seconds):
            return None

    koha_now = koha.world.now
    return Shifted()


def test_a_koha_that_is_down_got_nothing(connect):
    outcome = connect("http://127.0.0.1:1").charge(order())
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


def test_after_its_time_nothing_is_sent(adapter, koha, world):
    late = world.now() - timedelta(seconds=1)
    assert adapter.charge(order(erika(koha), send_before=late)) == NotApplied(reason="koha_not_sent_in_time")
    assert ADD not in koha.truth()["requests"]


def test_a_debit_type_that_koha_does_not_know_is_certainly_not_booked(connect, koha):
    adapter = connect(koha, charge_type="NIX")
    expected = NotApplied(reason="koha_400_debit_type_unknown", permanent=True)
    assert adapter.charge(order(erika(koha))) == expected
    assert marked(koha) == []


def test_a_dropped_token_is_not_asked_again_with_money(adapter, koha):
    adapter.account(erika(koha))
    koha.tables.tokens.clear()
    assert adapter.charge(order(erika(koha))) == NotApplied(reason="koha_401_not_authenticated")
    assert isinstance(adapter.charge(order(erika(koha))), Applied)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "CHF"}, "order_currency_differs"),
        ({"patron": "0"}, "order_patron_is_no_koha_id"),
        ({"patron": "3/account"}, "order_patron_is_no_koha_id"),
        ({"marker": "%"}, "order_marker_malformed"),
        ({"settled_with": "x" * 61}, "order_receipt_malformed"),
        ({"settled_with": "R-1\n2"}, "order_receipt_malformed"),
        ({"cents": 0}, "order_amount_malformed"),
        ({"cents": -1}, "order_amount_malformed"),
        ({"cents": 10**12}, "order_amount_malformed"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_not_sent(adapter, koha, changes, reason):
    assert adapter.charge(order(**changes)) == NotApplied(reason=reason, permanent=True)
    assert not koha.truth()["requests"]


def test_looking_never_says_nothing_when_it_could_not_look(adapter, koha):
    koha.fail_next(status=503, operation="debits.list")
    with pytest.raises(RemoteUnavailableError):
        adapter.find_charges(erika(koha), MARKER)
    koha.accounts.charge(int(erika(koha)), Decimal("1.005"), "MANUAL", note=MARKER)
    with pytest.raises(RemoteGarbledError):
        adapter.find_charges(erika(koha), MARKER)


def test_recent_credits_of_many_days_are_all_there(adapter, koha, world):
    since = world.now() - timedelta(days=7)
    for number in range(45):
        koha.accounts.pay(int(erika(koha)), Decimal(1), [], credit_type="PAYMENT", note=f"ILSP-{number:06}-A")
    found = adapter.recent_credits(erika(koha), since)
    assert len({one.marker for one in found} - {None}) == 45


# --- the table of outcomes ----------------------------------------------------------------------

TYPE_UNKNOWN = {"error": "Account type was not recognised"}
NOT_POSITIVE = {"error": "Amount should be a positive decimal"}
SPOKEN = {"errors": [{"message": "x", "path": "/body"}], "status": 400}


@pytest.mark.parametrize(
    ("status", "body", "reason", "verdict"),
    [
        (400, TYPE_UNKNOWN, "koha_400_debit_type_unknown", "never"),
        (400, NOT_POSITIVE, "koha_400_amount_not_positive", "never"),
        (400, SPOKEN, "koha_400_request_invalid", "never"),
        (400, [{"message": "x", "path": "/q"}], "koha_400_request_invalid", "never"),
        (400, {"error": "Deadlock found"}, "koha_400_not_from_validation", "unclear"),
        (400, None, "koha_400_not_from_validation", "unclear"),
        (401, {"error": "x"}, "koha_401_not_authenticated", "later"),
        (401, None, "koha_answer_not_classified", "unclear"),
        (
            403,
            {"error": "x", "required_permissions": {"updatecharges": "1"}},
            "koha_403_right_missing",
            "later",
        ),
        (403, None, "koha_answer_not_classified", "unclear"),
        (404, {"error": "Patron not found"}, "koha_404_patron_missing", "never"),
        (404, SPOKEN, "koha_404_path_unknown", "later"),
        (413, None, "koha_413_refused_by_web_server", "later"),
        (429, None, "koha_429_too_many_requests", "later"),
        (500, {"error": "x", "error_code": "internal_server_error"}, "koha_500", "unclear"),
        (500, TYPE_UNKNOWN, "koha_500", "unclear"),
        (502, None, "koha_502", "unclear"),
        (503, None, "koha_503", "unclear"),
        (504, None, "koha_504", "unclear"),
        (200, {"account_line_id": 1}, "koha_200_without_amounts", "unclear"),
        (302, None, "koha_answer_not_classified", "unclear"),
    ],
)
def test_each_row_says_what_its_answer_means(status, body, reason, verdict):
    expected = {
        "never": NotApplied(reason=reason, permanent=True),
        "later": NotApplied(reason=reason),
        "unclear": Unclear(reason=reason),
    }
    assert charging.charge_outcome(Answer(status, body), order()) == expected[verdict]


def test_what_koha_may_have_stored_before_it_answered_is_never_certain():
    for row in charging.OUTCOMES:
        if row.status is None or row.status in {200, 201} or row.status >= 500:
            assert row.verdict in {settling.Verdict.UNCLEAR, settling.Verdict.BY_AMOUNTS}, row


def made(**changes):
    body = {
        "account_line_id": 170,
        "amount": Decimal("12.5"),
        "amount_outstanding": Decimal("12.5"),
        "internal_note": MARKER,
        "patron_id": 3,
        "type": "MANUAL",
    }
    return Answer(201, body | changes)


def test_created_as_ordered_is_applied():
    assert charging.charge_outcome(made(), order()) == Applied(remote_ref="170", applied=1250, unapplied=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Decimal("12.51")},
        {"amount": Decimal("-12.5")},
        {"amount": Decimal("12.505")},
        {"amount": "12.5"},
        {"amount": None},
        {"account_line_id": None},
        {"account_line_id": "170"},
        {"internal_note": ""},
        {"internal_note": f"{MARKER} x"},
        {"patron_id": 4},
    ],
)
def test_created_otherwise_than_ordered_is_unclear(changes):
    assert isinstance(charging.charge_outcome(made(**changes), order()), Unclear)
    assert isinstance(charging.charge_outcome(Answer(201, None), order()), Unclear)


def test_the_request_is_written_from_whole_cents():
    text = charging.debit_text(order(cents=5), debit_type="MANUAL", description="x", library_id=None)
    assert '"amount": 0.05,' in text
    assert json.loads(text) == {
        "amount": 0.05,
        "type": "MANUAL",
        "description": "x",
        "internal_note": MARKER,
    }
