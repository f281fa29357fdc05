"""The checks behind ``make kill`` find what they are there for; and a handful of deaths for real."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.faults import kill, kill_checks

POSTINGS = [
    {"source": "provider", "destination": "to_settle", "cents": 500},
    {"source": "to_settle", "destination": "library_system", "cents": 500},
]
CREDIT = {"amount": 500, "unapplied": 0, "marker": "ILSP-AAAAAA-1"}


def books(**changes):
    """One payment of 5.00 that went as it should."""
    row = {"id": "P", "state": "settled", "held": False, "cents": 500, "captured": 500}
    whole = kill_checks.Books(
        payments={"P": row},
        orders={"P": [{"marker": "ILSP-AAAAAA-1"}]},
        postings={"P": POSTINGS},
        open_cases=Counter(),
        notices={"evt_1"},
        captured={"P": 500},
        credits={"ILSP-AAAAAA-1": [CREDIT]},
        delivered={"evt_1"},
        waiting=0,
    )
    return replace(whole, **changes)


def paid(**more):
    return {"P": {"id": "P", "state": "paid", "held": False, "cents": 500, "captured": 500, **more}}


def test_books_that_agree_break_no_promise():
    assert kill_checks.violations(books()) == []
    assert kill_checks.unfinished(books()) == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"notices": set()}, "was answered with 200 and is lost"),
        ({"payments": {}}, "which the ledger does not know"),
        ({"captured": {"P": 499}}, "the provider took 499, the ledger says 500"),
        ({"captured": {}}, "a credit without money"),
        ({"credits": {}}, "settled, and the library system has []"),
        ({"credits": {"ILSP-AAAAAA-1": [CREDIT, CREDIT]}}, "more than one credit"),
        ({"credits": {"ILSP-AAAAAA-1": [CREDIT | {"amount": 400}]}}, "settled, and the library system has"),
        ({"credits": {"ILSP-AAAAAA-1": [CREDIT | {"unapplied": 1}]}}, "settled, and the library system has"),
        ({"credits": {"ILSP-AAAAAA-1": [CREDIT], "ILSP-B-2": [CREDIT]}}, "ILSP-B-2 belongs to no payment"),
        (
            {"payments": paid(), "postings": {"P": POSTINGS[:1]}, "credits": {}},
            "paid, paid, and nobody knows",
        ),
        ({"payments": paid(), "postings": {"P": POSTINGS[:1]}}, "paid, and the library system has"),
        ({"postings": {"P": POSTINGS[:1]}}, "the ledger's balances are"),
        ({"postings": {"P": [*POSTINGS, *POSTINGS]}}, "the ledger's balances are"),
    ],
)
def test_each_broken_promise_is_found(changes, told):
    found = kill_checks.violations(books(**changes))
    assert any(told in sentence for sentence in found), found


def test_a_held_payment_with_a_case_breaks_no_promise_and_one_without_does():
    held = {
        "payments": paid(held=True),
        "postings": {"P": [POSTINGS[0], {"source": "to_settle", "destination": "case", "cents": 500}]},
        "credits": {},
    }
    assert kill_checks.violations(books(**held, open_cases=Counter({"P": 1}))) == []
    assert kill_checks.violations(books(**held)) == ["P: paid, paid, and nobody knows"]


@pytest.mark.parametrize(
    "changes",
    [
        {"payments": paid()},
        {"payments": paid(captured=0)},
        {"waiting": 1},
    ],
)
def test_what_is_still_to_do_is_waited_for(changes):
    assert kill_checks.unfinished(books(**changes)) > 0


@pytest.mark.timeout(300)
def test_three_deaths_and_a_locked_ledger_cost_no_cent():
    line = kill.play("sqlite", kills=3, stops=1, seed=7, at_once=2)
    assert line["found"] == []
    assert (line["kills"], line["stops"]) == (3, 1)
