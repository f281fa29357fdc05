"""Postings: sums are zero by construction, and a case takes what waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ils_payment.domain import ledger
from ils_payment.domain.ledger import Book, Posting, balances
from ils_payment.errors import InvariantError

CENTS = st.integers(1, 10**11)
LINES = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), CENTS, min_size=1, max_size=6)


@st.composite
def movements(draw):
    source, destination = draw(
        st.tuples(st.sampled_from(Book), st.sampled_from(Book)).filter(lambda pair: pair[0] != pair[1])
    )
    line = draw(st.none() | st.sampled_from("abc"))
    return Posting(line_id=line, source=source, destination=destination, cents=draw(CENTS))


def _of(book, postings):
    return sum(cents for (account, _), cents in balances(postings).items() if account is book)


@given(st.lists(movements(), max_size=30))
def test_whatever_is_posted_sums_to_zero_in_all_and_for_each_line(postings):
    found = balances(postings)
    assert sum(found.values()) == 0
    for line in {line for _, line in found}:
        assert sum(cents for (_, of), cents in found.items() if of == line) == 0
    assert 0 not in found.values()


@given(LINES, st.data())
def test_paid_lines_go_through_settling_or_into_the_case_and_nothing_is_left_between(lines, data):
    settled = data.draw(st.sets(st.sampled_from(sorted(lines))))
    postings = ledger.paid(lines.items())
    assert _of(Book.PROVIDER, postings) == -sum(lines.values())
    postings += ledger.settled(((line, lines[line]) for line in settled), postings)
    postings += ledger.to_case(postings)
    assert _of(Book.TO_SETTLE, postings) == 0
    assert _of(Book.LIBRARY_SYSTEM, postings) == sum(lines[line] for line in settled)
    assert _of(Book.CASE, postings) == sum(cents for line, cents in lines.items() if line not in settled)
    assert ledger.to_case(postings) == [], "asked again, there is nothing left to move"


@given(CENTS)
def test_a_wrong_amount_goes_straight_to_the_case(captured):
    (posting,) = ledger.paid_wrong(captured, "")
    assert (posting.source, posting.destination) == (Book.PROVIDER, Book.CASE)
    assert (posting.cents, posting.line_id) == (captured, None)


def test_a_wrong_payment_of_nothing_moves_nothing():
    assert ledger.paid_wrong(0, "") == []


@pytest.mark.parametrize("cents", [0, -1])
def test_a_posting_of_nothing_or_less_is_refused(cents):
    with pytest.raises(InvariantError):
        Posting(line_id=None, source=Book.PROVIDER, destination=Book.CASE, cents=cents)


def test_a_posting_to_its_own_account_is_refused():
    with pytest.raises(InvariantError):
        Posting(line_id=None, source=Book.CASE, destination=Book.CASE, cents=1)
