"""What `verify` finds in the rows of one payment: each rule broken alone, and named in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ils_payment.domain.ledger import Book, Posting
from ils_payment.domain.proof import Facts, findings
from ils_payment.domain.refunds import RefundState
from ils_payment.model import State


def move(source: Book, destination: Book, cents: int = 1250, line: str | None = "a") -> Posting:
    return Posting(line_id=line, source=source, destination=destination, cents=cents)


PAID = move(Book.PROVIDER, Book.TO_SETTLE)
SETTLED = move(Book.TO_SETTLE, Book.LIBRARY_SYSTEM)
SOUND = Facts(
    state=State.SETTLED,
    held=False,
    cents=1250,
    captured=1250,
    lines={"a": 1250},
    frozen={"a": 1250},
    postings=[PAID, SETTLED],
    refunds=[],
    applied=1250,
    unbooked=0,
    claims=0,
    cases=0,
)
HELD = replace(
    SOUND,
    state=State.PAID,
    held=True,
    postings=[PAID, move(Book.TO_SETTLE, Book.CASE)],
    applied=0,
    cases=1,
    claims=1,
)
RESERVED = replace(
    HELD, postings=[*HELD.postings, move(Book.CASE, Book.TO_RETURN)], refunds=[(RefundState.ASKED, 1250)]
)

GIVEN_BACK_IN_CASH = replace(SOUND, postings=[PAID, SETTLED, move(Book.LIBRARY_SYSTEM, Book.OUTSIDE)])
PARTLY_BY_HAND = replace(
    SOUND,
    lines={"a": 1000, "b": 250},
    frozen={"a": 1000, "b": 250},
    postings=[
        *(move(Book.PROVIDER, Book.TO_SETTLE, cents, line) for line, cents in (("a", 1000), ("b", 250))),
        move(Book.TO_SETTLE, Book.CASE, 250, "b"),
        move(Book.CASE, Book.BY_HAND, 250, "b"),
        move(Book.BY_HAND, Book.OUTSIDE, 250, "b"),
        move(Book.TO_SETTLE, Book.LIBRARY_SYSTEM, 1000),
    ],
    applied=1000,
)


@pytest.mark.parametrize("sound", [SOUND, HELD, RESERVED, GIVEN_BACK_IN_CASH, PARTLY_BY_HAND])
def test_a_payment_whose_rows_fit_has_no_finding(sound):
    assert findings(sound) == []


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (replace(SOUND, lines={"a": 1249}, frozen=None), "its lines make 1249 cents, the payment says 1250"),
        (replace(SOUND, frozen={"b": 1250}), "its lines are not those that were frozen"),
        (
            replace(SOUND, captured=1249),
            "the postings take 1250 cents from the provider, the payment says 1249",
        ),
        (
            replace(SOUND, postings=[*SOUND.postings, move(Book.LIBRARY_SYSTEM, Book.CASE, 1, "theirs")]),
            "a posting is about a line that is not its own",
        ),
        (
            replace(SOUND, postings=[PAID, SETTLED, SETTLED]),
            "more cents leave to_settle than came there",
        ),
        (
            replace(SOUND, postings=[PAID, replace(SETTLED, currency="CHF")]),
            "more cents leave to_settle than came there",
        ),
        (
            replace(SOUND, state=State.OPEN, claims=1),
            "it is open, and has postings",
        ),
        (replace(SOUND, postings=[], state=State.PAID), "it is paid, and has no postings"),
        (replace(SOUND, postings=[PAID]), "it is settled, and 1250 cents wait for settling"),
        (replace(HELD, held=False), "it is not held, and 1250 cents lie with the cases"),
        (
            replace(RESERVED, held=False),
            "it is not held, and 1250 cents are reserved for a refund",
        ),
        (replace(HELD, postings=[PAID]), "it is held, and 1250 cents wait for settling"),
        (
            replace(SOUND, applied=1000),
            "it is settled with 1250 cents, postings say 1250, credits 1000",
        ),
        (replace(HELD, cases=0), "it is held, and no case is open"),
        (
            replace(RESERVED, refunds=[(RefundState.DUE, 1200)]),
            "refunds reserve 1200 cents, the ledger 1250",
        ),
        (
            replace(SOUND, refunds=[(RefundState.DONE, 100), (RefundState.EXTERNAL, 50)]),
            "refunds gave back 150 cents, the ledger 0",
        ),
        (replace(SOUND, claims=2), "it is settled, and still claims 2 fee(s)"),
        (
            replace(SOUND, state=State.OPEN, postings=[], captured=0, claims=0),
            "it is open, and claims 0 of its 1 fee(s)",
        ),
    ],
)
def test_each_thing_that_does_not_fit_is_named_with_its_amounts(facts, says):
    assert says in findings(facts)


def test_money_that_waits_for_a_refund_which_is_on_its_way_needs_no_open_case():
    """The case closed when the second person approved; the payment stays held until the money has left."""
    assert findings(replace(RESERVED, refunds=[(RefundState.TRIED, 1250)], cases=0)) == []
