"""What each answer to a payment means: every row of the table, every way in which an answer goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ils_payment_opac_soap import tree
from ils_payment_opac_soap.outcomes import (
    NOTHING_IS_CERTAIN,
    OUTCOMES,
    Answer,
    Error,
    Sent,
    Verdict,
    error_of,
)
from ils_payment_opac_soap.outcomes import settle_outcome as outcome_of
from ils_payment_opac_soap.preset import Errors
from ils_payment_opac_soap.simulator import Fault

from ils_payment.model import Applied, NotApplied, RawRequest, Reply, Unclear
from tests.opac_soap.conftest import CARD, JAN, MARKER, PLACE, Stand

PAYING = ("arena", "ncip", "symphony")
BOOKED = [
    Fault.LOST, Fault.FAULT_AFTER, Fault.HTML, Fault.HTML_200, Fault.EMPTY, Fault.CUT, Fault.CHARSET,
    Fault.NO_WORDS, Fault.DTD, Fault.BOMB, Fault.EXTERNAL, Fault.DEEP,
]  # fmt: skip
NOT_BOOKED = [Fault.NEVER_DONE, Fault.FAULT_BEFORE, Fault.LATE]


@pytest.mark.parametrize("preset", PAYING)
@pytest.mark.parametrize("fault", [*BOOKED, *NOT_BOOKED])
def test_whatever_comes_instead_of_a_clear_answer_is_unclear_and_sent_once(preset, fault):
    stand = Stand(preset)
    order = stand.order()
    stand.server.go_wrong(fault, seconds=60)
    outcome = stand.system.settle(order)
    assert isinstance(outcome, Unclear), outcome
    assert CARD not in outcome.reason
    assert MARKER not in outcome.reason
    assert stand.sent() == 1
    assert stand.booked() == ([(450, MARKER)] if fault in BOOKED else [])


def test_a_payment_that_comes_late_is_booked_late():
    stand = Stand("symphony")
    order = stand.order()
    stand.server.go_wrong(Fault.LATE, seconds=60)
    stand.system.settle(order)
    stand.world.pass_time(seconds=61)
    assert stand.booked() == [(450, MARKER)]


def test_an_answer_about_another_patron_is_unclear():
    stand = Stand("ncip")
    order = stand.order()
    stand.server.go_wrong(Fault.OTHER_PATRON)
    assert stand.system.settle(order) == Unclear(reason="soap_other_patron")


@pytest.mark.parametrize("preset", PAYING)
def test_what_cannot_be_reached_was_certainly_not_paid_and_may_be_tried_again(preset):
    stand = Stand(preset)
    order = stand.order()
    stand.world.remotes = {}
    outcome = stand.system.settle(order)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("symphony", NotApplied(reason="soap_refused_in_answer", permanent=True)),
        ("arena", NotApplied(reason="soap_refused_in_answer", permanent=True)),
        ("ncip", NotApplied(reason="soap_refused_in_answer", permanent=True)),
    ],
)
def test_a_fee_that_is_paid_already_is_refused_as_far_as_that_is_documented(preset, expected):
    stand = Stand(preset)
    order = stand.order()
    stand.server.books.pay(CARD, 450, at=stand.world.now(), fee_ids=["G101"])
    assert stand.system.settle(order) == expected


def test_a_patron_who_is_gone_is_certainly_not_paid_for():
    stand = Stand("ncip")
    order = stand.order()
    del stand.server.books.patrons[CARD]
    assert stand.system.settle(order) == NotApplied(reason="soap_patron_missing", permanent=True)


class Canned:
    """A server that gives one answer to the call that pays."""

    def __init__(self, stand: Stand, status: int, body: bytes) -> None:
        self.server, self.status, self.body = stand.server, status, body
        stand.world.remotes[PLACE] = self

    def handle(self, request: RawRequest) -> Reply:
        if self.server.voice.pays.encode() in request.body:
            return Reply(status=self.status, body=self.body, headers=(("Content-Type", "text/xml"),))
        return self.server.handle(request)

    def truth(self) -> dict[str, Any]:
        return {}


def recorded(*parts: dict[str, Any], name: str = "RecordPaymentsResponse") -> bytes:
    content: dict[str, Any] = {}
    for part in parts:
        content |= part
    return tree.envelope(tree.element(name, content, "http://schemas.sirsidynix.com/symws/circulation"))


def paid(amount: str = "4.50", key: str = "101") -> dict[str, Any]:
    return {"feePaymentRecorded": {"billKey": key, "paymentTypeID": "ONLINE", "amountPaid": amount}}


PROBLEM = {"feePaymentProblem": {"billKey": "101", "problem": "nothing owed"}}
ANSWERS = {
    "the payment as it was sent": (recorded(paid()), Applied),
    "another sum": (recorded(paid("4.40")), "soap_other_amount"),
    "a sum with parts of a cent": (recorded(paid("4.505")), "soap_other_amount"),
    "a sum that is none": (recorded(paid("viel")), "soap_other_amount"),
    "no sum": (recorded({"feePaymentRecorded": {"billKey": "101"}}), "soap_other_amount"),
    "another bill": (recorded(paid(key="102")), "soap_other_fee"),
    "paid and refused at once": (recorded(paid(), PROBLEM), "soap_answer_not_classified"),
    "nothing at all": (recorded(), "soap_answer_not_classified"),
    "an answer to something else": (recorded(name="LookupPatronInfoResponse"), "soap_answer_not_classified"),
    "more left over than was sent": (recorded(paid(), {"amountNotApplied": "9.00"}), "soap_other_amount"),
    "a rest that is none": (recorded(paid(), {"amountNotApplied": "x"}), "soap_other_amount"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_only_an_answer_about_this_very_payment_counts_as_paid(case):
    body, expected = ANSWERS[case]
    stand = Stand("symphony")
    order = stand.order()
    Canned(stand, 200, body)
    outcome = stand.system.settle(order)
    if isinstance(expected, str):
        assert outcome == Unclear(reason=expected)
    else:
        assert outcome == Applied(remote_ref=MARKER, applied=450, unapplied=0)


def test_what_no_fee_took_is_said():
    stand = Stand("symphony")
    order = stand.order()
    Canned(stand, 200, recorded(paid(), {"amountNotApplied": "1.50"}))
    assert stand.system.settle(order) == Applied(remote_ref=MARKER, applied=300, unapplied=150)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 403, 404, 413, 429, 500, 502, 503])
def test_a_status_alone_never_says_that_nothing_was_paid(status):
    stand = Stand("symphony")
    order = stand.order()
    Canned(stand, status, b"")
    assert stand.system.settle(order) == Unclear(reason="soap_unreadable")


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_a_receipt_under_a_status_of_failure_is_unclear(status):
    stand = Stand("symphony")
    order = stand.order()
    Canned(stand, status, recorded(paid()))
    assert stand.system.settle(order) == Unclear(reason="soap_answer_not_classified")


def fault(code: str) -> Answer:
    return Answer(500, {"Envelope": [{"Body": [{"Fault": [{"faultcode": [code]}]}]}]})


MAP = Errors(
    session=("S",), authentication=("A",), permanent=("P",), retryable=("R",), absent=("N",), unclear=("U",)
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("S", NotApplied(reason="soap_session_ended")),
        ("ns7:S", NotApplied(reason="soap_session_ended")),
        ("A", NotApplied(reason="soap_not_authenticated")),
        ("R", NotApplied(reason="soap_refused_for_now")),
        ("P", NotApplied(reason="soap_refused", permanent=True)),
        ("N", NotApplied(reason="soap_patron_missing", permanent=True)),
        ("U", Unclear(reason="soap_unclear_by_preset")),
        ("PS", Unclear(reason="soap_fault_not_classified")),
    ],
)
def test_the_error_map_of_a_payment_says_what_is_certain(code, expected):
    stand = Stand("symphony")
    pay = stand.config.spoken.operations.pay
    assert pay is not None
    sent = Sent(stand.order(), CARD, pay, MAP, stand.config.spoken, "EUR")
    assert outcome_of(fault(code), sent) == expected
    assert isinstance(outcome_of(fault(code), replace(sent, errors=NOTHING_IS_CERTAIN)), Unclear)


def test_a_payment_never_borrows_the_error_map_of_the_questions():
    """BackendError means for a question: later. Nobody knows what it means for a payment."""
    stand = Stand("arena")
    order = stand.order()
    stand.server.voice.fails_with = "BackendError"
    assert stand.system.settle(order) == Unclear(reason="soap_unclear_by_preset")
    assert stand.booked() == [(450, MARKER)]


@pytest.mark.parametrize("word", ["", "<message/>"])
def test_a_refusal_without_a_word_may_be_a_failure_of_the_service_itself(word):
    """Only the word tells the two apart, and Arena often sends none."""
    stand = Stand("arena")
    order = stand.order()
    said = {"addPaymentResponse": {"status": {"type": "error"}}}
    body = tree.envelope(tree.element("AddPaymentResponse", said, "urn:ils-payment:arena"))
    assert b"<type>error</type>" in body
    Canned(stand, 200, body.replace(b"<type>error</type>", f"<type>error</type>{word}".encode()))
    assert stand.system.settle(order) == Unclear(reason="soap_answer_not_classified")


def test_a_soap_1_2_fault_is_one_too():
    answer = Answer(500, {"Envelope": [{"Body": [{"Fault": [{"Code": [{"Value": ["env:S"]}]}]}]}]})
    assert error_of(answer, MAP) is Error.SESSION
    assert answer.is_fault


def test_every_row_of_the_table_can_be_met_and_the_last_one_is_unclear():
    assert OUTCOMES[-1].verdict is Verdict.UNCLEAR
    certain = {row.reason for row in OUTCOMES if row.verdict in {Verdict.NOT_DONE, Verdict.NEVER}}
    assert certain == {
        "soap_session_ended",
        "soap_not_authenticated",
        "soap_refused_for_now",
        "soap_refused",
        "soap_patron_missing",
        "soap_refused_in_answer",
    }
    assert [row.reason for row in OUTCOMES if row.verdict is Verdict.DONE] == ["soap_done"]


def test_an_echoed_marker_of_another_payment_is_unclear():
    stand = Stand("ncip")
    pay = stand.config.spoken.operations.pay
    assert pay is not None
    echo = pay.model_copy(update={"marker_echo": "//marker"})
    sent = Sent(stand.order(), CARD, echo, MAP, stand.config.spoken, "EUR")
    other: dict[str, Any] = {"x": [{"marker": ["ILSP-AAAAAA-A"]}]}
    assert outcome_of(Answer(200, other), sent) == Unclear(reason="soap_other_marker")


def test_jan_is_not_paid_for_by_erika():
    stand = Stand("ncip")
    stand.system.settle(stand.order())
    assert stand.booked(JAN) == []
