"""The edges of the pure rules: words of refusals, absent fees, strange currencies, check characters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ils_payment.domain import ledger, marker, settling, states
from ils_payment.domain.ledger import Book, Posting
from ils_payment.errors import InvariantError
from ils_payment.model import Account, Credit, Fee, OrderLine, State
from ils_payment.money import MAX_CENTS, MoneyError, parse

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LINE = OrderLine(ref="1", claim_key="1", cents=450, kind="OVERDUE")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (1.5, "a float or boolean is not an amount"),
        (True, "a float or boolean is not an amount"),
        ("twelve", "'twelve' is not an amount"),
        (Decimal("NaN"), "Decimal('NaN') is not an amount"),
        (MAX_CENTS, f"{MAX_CENTS} is beyond what this program handles"),
        ("0.001", "'0.001' has more decimals than EUR"),
    ],
)
def test_a_refused_amount_is_told_by_its_reason(amount, words):
    with pytest.raises(MoneyError) as caught:
        parse(amount, "EUR")
    assert str(caught.value) == words


def account(cents, balance=None):
    fee = Fee(ref="1", claim_key="1", cents=cents, kind="X", text="")
    owed = cents if balance is None else balance
    return Account(balance=owed, open_credit=0, fees=(fee,) if cents else (), read_at=NOON)


def test_a_fee_that_is_gone_does_not_stand_however_small_it_was():
    gone = settling.Before.of(replace(account(0), balance=1), [LINE])
    assert not settling.stand([replace(LINE, cents=1)], gone, partial=True)


def test_each_thing_that_is_wrong_afterwards_has_its_words():
    before = settling.Before.of(account(450), [LINE])
    assert (
        settling.wrong_in_account([LINE], before, account(1)) == "the fees are more open than they should be"
    )
    assert settling.wrong_in_account([LINE], before, account(0, -1)) == "the balance is below zero"
    ours = Credit(remote_ref="1", marker="ILSP-1", cents=450, unapplied=0, at=NOON)
    foreign = Credit(remote_ref="2", marker=None, cents=1, unapplied=0, at=NOON)

    def wrong(*recent, balance=0):
        return settling.wrong_in_credits("ILSP-1", 450, before, account(0, balance), recent, {"ILSP-1"})

    assert wrong() == "our credit is not there exactly once"
    assert wrong(ours, foreign) == "another credit was made at the same time"
    assert wrong(ours, balance=-1) == "less is owed than the credits explain"
    assert wrong(ours) is None


def test_a_cell_with_a_condition_is_met_unless_it_is_said_not_to_be():
    for (state, learned), cell in states.TABLE.items():
        if isinstance(cell, states.Either):
            assert states.decide(state, learned) is cell.met
            assert states.decide(state, learned, condition=False) is cell.otherwise
    assert isinstance(State.RESOLVED, State)


@pytest.mark.parametrize(("cents", "destination"), [(0, Book.CASE), (-1, Book.CASE), (1, Book.PROVIDER)])
def test_a_posting_that_moves_nothing_says_so(cents, destination):
    with pytest.raises(InvariantError) as caught:
        Posting(line_id=None, source=Book.PROVIDER, destination=destination, cents=cents)
    assert str(caught.value) == "a posting moves a positive amount between two accounts"


def test_an_amount_of_another_currency_keeps_its_currency_through_every_account():
    taken = ledger.paid_wrong(700, "CHF")
    assert [posting.currency for posting in taken] == ["CHF"]
    assert [posting.currency for posting in ledger.paid_wrong(700, "")] == [""]
    returned = ledger.everything(taken, Book.CASE, Book.RETURNED)
    assert [(posting.cents, posting.currency) for posting in returned] == [(700, "CHF")]
    assert ledger.currency_of(taken, [None]) == "CHF"
    assert ledger.currency_of(taken, ["a line"]) == ""
    mixed = [*ledger.paid([("a", 100)]), *taken]
    assert [one.currency for one in ledger.to_case(mixed)] == [""]


def test_what_has_left_an_account_is_not_posted_again():
    paid = ledger.paid([("a", 100)])
    gone = [*paid, *ledger.settled([("a", 100)], paid)]
    assert ledger.to_case(gone) == []
    assert ledger.everything(gone, Book.PROVIDER, Book.CASE) == [], "a source is below zero and has nothing"


@pytest.mark.parametrize("body", ["00000G", "G0G0G0", "ZZZZZZ", "0G0G0G", "7K3M9Q", "HGHGHG"])
def test_the_check_character_is_luhns_over_thirty_two_signs(body):
    total = 0
    for place, sign in enumerate(reversed(body)):
        value = int("0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(sign))
        doubled = value * 2 if place % 2 == 0 else value
        total += doubled - 31 if doubled >= 32 else doubled
    check = marker.make(body)[-1]
    assert (total + marker.ALPHABET.index(check)) % 32 == 0


@pytest.mark.parametrize(
    "typed", ["ilsp-7k3m9q-4", " ILSP 7K3M9Q 4 ", "7k3m9q4", "7K-3M-9Q-4", "ilsp7k3m9q4", "ILSP-7K3M9Q-4"]
)
def test_a_marker_is_read_however_it_is_parted(typed):
    assert marker.tidy(typed) == "ILSP-7K3M9Q-4"
    assert marker.tidy("ilou00-u") == "ILSP-110V00-V"
