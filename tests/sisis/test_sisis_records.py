"""Amounts, days, accounts, blocks: what the keys of SISIS mean."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ils_payment_sisis import records
from ils_payment_sisis.records import Person, Position
from ils_payment_sisis.simulator.slnp import euros

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Block, Fee

NOW = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
TODAY = NOW.date()

AMOUNTS = [
    ("12,50", "comma", 1250),
    ("0,00", "comma", 0),
    ("0", "comma", 0),
    ("-3,05", "comma", -305),
    ("+3,05", "comma", 305),
    (" 12,50 ", "comma", 1250),
    ("1.234,50", "comma", 123450),
    ("12.50", "point", 1250),
    ("1,234.50", "point", 123450),
    ("1250", "cents", 1250),
    ("-1250", "cents", -1250),
]


@pytest.mark.parametrize(("text", "form", "cents"), AMOUNTS)
def test_an_amount_is_read_in_the_form_that_is_configured(text, form, cents):
    assert records.cents(text, form, "EUR") == cents


@pytest.mark.parametrize(
    ("text", "form"),
    [
        *(
            (text, "comma")
            for text in ("", "12", "12.50", "12,5", "12,505", "1.23,50", "1.2345,00", "12,50 EUR")
        ),
        *(
            (text, "comma")
            for text in (
                "\u0661\u0662,\u0665\u0660",
                "1e3,00",
                "--1,00",
                "NaN",
                "12,50\n13,00",
                "99999999,00",
            )
        ),
        *((text, "point") for text in ("12", "12,50", "12.5", "")),
        *((text, "cents") for text in ("12,50", "12.50", "", "1.250", "999999999")),
    ],
)
def test_what_could_be_another_amount_is_none(text, form):
    with pytest.raises(RemoteGarbledError):
        records.cents(text, form, "EUR")


@settings(max_examples=200)
@given(st.integers(-99_999_999, 99_999_999))
def test_every_amount_that_sisis_writes_is_read_exactly(cents):
    assert records.cents(euros(cents), "comma", "EUR") == cents


@settings(max_examples=200)
@given(st.text(max_size=15), st.sampled_from(["comma", "point", "cents"]))
def test_any_text_is_an_amount_or_garbled(text, form):
    with suppress(RemoteGarbledError):
        assert isinstance(records.cents(text, form, "EUR"), int)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31.12.2027", date(2027, 12, 31)),
        (" 31.12.2027 ", date(2027, 12, 31)),
        ("31.12.2027 23:59:59", date(2027, 12, 31)),
        ("2027-12-31", date(2027, 12, 31)),
        ("2027-12-31T00:00:00", date(2027, 12, 31)),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_a_day_is_read_in_both_orders(text, day):
    assert records.day(text, "day") == day


@pytest.mark.parametrize(
    "text", ["31.02.2027", "1.1.2027", "31.12.27", "12/31/2027", "never", "31.12.20277", "0"]
)
def test_what_is_no_day_is_not_taken_for_no_end(text):
    with pytest.raises(RemoteGarbledError):
        records.day(text, "day")


def test_a_birth_date_that_cannot_be_read_hinders_nothing():
    assert records.birth_date("12.03.1985") == date(1985, 3, 12)
    assert records.birth_date("00.00.0000") is None


def test_one_fee_stands_for_the_whole_balance():
    positions = [Position(450, "Mahnung", date(2026, 11, 9)), Position(800, "Ausweis\n", None)]
    account = records.account(1250, positions, "EUR", NOW)
    text = "Mahnung 4,50 EUR (09.11.2026); Ausweis 8,00 EUR"
    assert account.fees == (Fee(ref=None, claim_key="account", cents=1250, kind="account", text=text),)
    assert (account.balance, account.open_credit, account.complete) == (1250, 0, True)


def test_positions_that_do_not_add_up_are_not_shown():
    [fee] = records.account(1250, [Position(450, "Mahnung", None)], "EUR", NOW).fees
    assert (fee.cents, fee.text) == (1250, "")


@pytest.mark.parametrize(("balance", "credit"), [(0, 0), (-300, 300)])
def test_who_owes_nothing_has_no_fee(balance, credit):
    account = records.account(balance, [], "EUR", NOW)
    assert (account.fees, account.balance, account.open_credit) == ((), balance, credit)


def test_a_balance_beyond_reason_is_garbled():
    with pytest.raises(RemoteGarbledError):
        records.account(100_000_000, [], "EUR", NOW)


@pytest.mark.parametrize(
    ("sperre", "note", "found"),
    [
        (None, None, []),
        ("", "", []),
        ("0", "", []),
        ("3", "", [Block(kind="restriction", manual=True)]),
        ("", "Bitte melden", [Block(kind="restriction", manual=True, text="Bitte melden")]),
        ("0", "Bitte\nmelden", [Block(kind="restriction", manual=True, text="Bitte melden")]),
        ("7", "Gebühren", [Block(kind="fees", text="Gebühren")]),
        (" 7 ", None, [Block(kind="fees")]),
    ],
)
def test_sperre_and_its_note_become_a_block(sperre, note, found):
    blocks = records.blocks(sperre, note)
    person = Person("4711", "", None)
    card = records.card(person, date(2027, 1, 1), blocks, {"7": "fees"}, TODAY)
    assert list(card.blocks) == found


@pytest.mark.parametrize(
    ("until", "kinds"), [(date(2026, 11, 20), ["expired"]), (date(2026, 11, 21), []), (None, [])]
)
def test_the_card_is_over_on_the_day_after_its_last_one(until, kinds):
    card = records.card(Person("4711", "ERW", None), until, [], {}, TODAY)
    assert [block.kind for block in card.blocks] == kinds
    assert (card.valid_until, card.category) == (until, "ERW")


def test_a_person_is_not_written_anywhere_by_accident():
    assert "4711" not in repr(Person("4711", "", None))
