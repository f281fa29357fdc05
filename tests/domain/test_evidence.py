"""Notices as evidence: weighed in any order they say the same, and no wrong money ever looks right."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from ils_payment.domain.evidence import reversals, weigh
from ils_payment.domain.states import decide
from ils_payment.model import Input, Observation, PayState, Reversal, ReversalState, State

PAID = Observation(
    state=PayState.PAID,
    captured=1250,
    currency="EUR",
    account="LibraryECOM",
    live=True,
    reference="PAY1",
    final=False,
    evidence="notice",
    money_ref="MONEY1",
)
READ = replace(PAID, account="", money_ref="", evidence="read")
OPEN = replace(READ, state=PayState.OPEN, captured=0)
PENDING = replace(OPEN, state=PayState.PENDING)
VOID = replace(OPEN, state=PayState.VOID, final=True)
CHARGEBACK = Reversal(ref="D1", kind="chargeback", cents=1250)
GONE = replace(PAID, state=PayState.OPEN, captured=0, money_ref="", reference="", reversals=(CHARGEBACK,))


def test_nothing_heard_and_nothing_read_is_nothing():
    assert weigh(None, []) is None
    assert weigh(None, [GONE]) is None


@pytest.mark.parametrize("read", [OPEN, PENDING, VOID, READ])
def test_without_notices_the_answer_stands_as_it_is(read):
    assert weigh(read, []) == read


@pytest.mark.parametrize("read", [None, OPEN, PENDING, VOID, READ])
def test_money_that_was_told_outweighs_any_answer(read):
    seen = weigh(read, [PAID])
    assert seen is not None
    assert (seen.state, seen.captured, seen.reference, seen.money_ref) == (
        PayState.PAID,
        1250,
        "PAY1",
        "MONEY1",
    )


@pytest.mark.parametrize("state", [PayState.VOID, PayState.PENDING])
def test_an_answer_outweighs_what_was_told_about_an_end(state):
    assert weigh(OPEN, [replace(VOID, state=state)]) == OPEN


def test_an_end_that_was_told_counts_where_nothing_can_be_read():
    assert weigh(None, [VOID, PENDING]) == VOID
    assert weigh(None, [PENDING]) == PENDING


def test_two_sums_of_money_add_up_and_can_never_be_the_right_one():
    seen = weigh(READ, [PAID, replace(PAID, money_ref="MONEY2")])
    assert seen is not None
    assert seen.captured == 2500


@pytest.mark.parametrize(
    ("read", "told", "cents"),
    [(READ, 1249, 1249), (READ, 1251, 1251), (replace(READ, money_ref="MONEY1", captured=2500), 1250, 2500)],
)
def test_an_answer_and_notices_about_other_sums_are_never_right(read, told, cents):
    seen = weigh(read, [replace(PAID, captured=told)])
    assert seen is not None
    assert (seen.state, seen.captured, seen.reference) == (PayState.PAID, cents, "")


def test_the_capture_of_less_than_was_authorised_is_what_there_is():
    for told in permutations([PAID, replace(PAID, captured=1000)]):
        seen = weigh(None, told)
        assert seen is not None
        assert seen.captured == 1000


@pytest.mark.parametrize(
    "odd", [{"currency": "USD"}, {"account": "Other"}, {"live": False}, {"reference": "PAY2"}], ids=str
)
def test_notices_that_contradict_each_other_have_no_reference(odd):
    half = replace(PAID, captured=625)
    for told in permutations([half, replace(half, money_ref="MONEY2", **odd)]):
        seen = weigh(None, told)
        assert seen is not None
        assert (seen.captured, seen.reference) == (1250, "")


def test_the_order_of_notices_changes_nothing():
    refund = Reversal(ref="R1", kind="refund", cents=300, key="KEY")
    heard = [
        PAID,
        replace(GONE, reversals=(replace(CHARGEBACK, state=ReversalState.FAILED),)),
        GONE,
        replace(GONE, reversals=(refund,)),
        replace(GONE, reversals=(replace(refund, state=ReversalState.FAILED, key=""),)),
    ]
    found = set()
    for told in permutations(heard):
        seen = weigh(None, told)
        assert seen is not None
        found.add((seen.state, seen.captured, frozenset(seen.reversals)))
    assert found == {
        (
            PayState.PAID,
            1250,
            frozenset(
                {
                    replace(CHARGEBACK, state=ReversalState.FAILED),
                    replace(refund, state=ReversalState.FAILED),
                }
            ),
        )
    }


def test_reversals_of_answer_and_notices_are_told_once():
    read = replace(READ, reversals=(CHARGEBACK,))
    seen = weigh(read, [GONE])
    assert seen is not None
    assert seen.reversals == (CHARGEBACK,)
    assert reversals([CHARGEBACK, CHARGEBACK]) == (CHARGEBACK,)


@pytest.mark.parametrize("state", list(State))
def test_a_notice_takes_the_same_cell_of_the_state_table_as_an_answer(state):
    told, read = weigh(None, [PAID]), weigh(READ, [])
    assert told is not None
    assert read is not None
    compared = [(one.state, one.captured, one.currency, one.live, one.reference) for one in (told, read)]
    assert compared[0] == compared[1]
    # A replayed notice of what is known moves nothing, in whatever state the money is settled already.
    if state in {State.PAID, State.SETTLING, State.UNKNOWN, State.SETTLED, State.RESOLVED}:
        step = decide(state, Input.PAID_RIGHT)
        assert (step.to, step.hold) == (None, False)
