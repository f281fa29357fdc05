"""Fees, cards and patrons, as they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from ils_payment.errors import RemoteAbsentError
from ils_payment.model import Fee, PatronRef
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import LibraryTests
from ils_payment.testing.stands import long_ahead

_ODD_REFS = ("", "0", "-1", "99999999", "1/../2", "1?x=1", "%31", "a b", "\u0661", "1'--", "x" * 500)
_TEXTS = ("Säumnisgebühr für „Straße“", "Fernleihe <b>&amp; Co.</b> \"x\" 'y'", "Žluťoučký kůň, 2. Mahnung")


class ReadingTests(LibraryTests):
    """``account``, ``card`` and ``find_patron``."""

    def test_who_owes_nothing_has_no_fees(self) -> None:
        account = self.account(self.patron(valid_until=long_ahead(self.stand)))
        assert (account.fees, account.balance, account.open_credit) == ((), 0, 0)

    @pytest.mark.parametrize("cents", [1, 29, 99, 100, 115, 1005, 1999, 99_999, 99_999_999])
    def test_an_amount_is_read_to_the_cent(self, cents: int) -> None:
        account = self.account(self.patron(cents))
        assert [fee.cents for fee in account.fees] == [cents]
        assert account.balance == cents
        assert all(type(amount) is int for amount in (account.balance, account.open_credit))

    def test_every_open_fee_is_counted(self) -> None:
        account = self.account(self.patron(450, 150, 250))
        assert sum(fee.cents for fee in account.fees) == account.balance == 850
        assert account.complete

    @declared(fee_ids=True)
    def test_fees_are_listed_one_by_one_each_with_an_id_and_a_claim_of_its_own(self) -> None:
        fees = self.account(self.patron(450, 150, 150)).fees
        assert sorted(fee.cents for fee in fees) == [150, 150, 450]
        assert all(fee.ref and fee.payable for fee in fees)
        assert len({fee.ref for fee in fees}) == len({fee.claim_key for fee in fees}) == 3

    @declared(fee_ids=False)
    def test_without_ids_there_is_one_fee_that_claims_the_whole_account(self) -> None:
        [fee] = self.account(self.patron(450, 150)).fees
        assert (fee.ref, fee.claim_key, fee.cents) == (None, "account", 600)

    def test_reading_twice_gives_the_same_ids_and_claims(self) -> None:
        person = self.patron(450, 150)
        assert self.account(person).fees == self.account(person).fees

    def test_reading_writes_nothing(self) -> None:
        person = self.patron(450, 150)
        self.account(person)
        self.card(person)
        self.nothing_was_written(person)
        assert self.stand.open_fees(person) == [450, 150]

    def test_what_was_paid_at_the_desk_is_not_open_any_more(self) -> None:
        person = self.patron(450, 150)
        self.stand.pay_at_desk(person, 450)
        account = self.account(person)
        assert (sum(fee.cents for fee in account.fees), account.balance) == (150, 150)

    def test_what_was_paid_in_part_is_open_with_the_rest(self) -> None:
        person = self.patron(450)
        self.stand.pay_at_desk(person, 449)
        account = self.account(person)
        assert ([fee.cents for fee in account.fees], account.balance) == ([1], 1)

    def test_a_fee_that_grew_is_read_with_what_it_is_now(self) -> None:
        person = self.patron(450)
        before = self.account(person).fees[0]
        self.stand.grow(person, 50)
        [after] = self.account(person).fees
        assert (after.cents, after.claim_key, after.ref) == (500, before.claim_key, before.ref)

    def test_open_credit_is_counted_against_what_is_owed(self) -> None:
        person = self.patron(800)
        self.stand.add_open_credit(person, 300)
        account = self.account(person)
        assert account.balance == 500
        assert account.open_credit == 300

    def test_it_says_when_it_read(self) -> None:
        read_at = self.account(self.patron()).read_at
        assert read_at.tzinfo is not None
        assert abs(read_at - self.stand.world.now()) < timedelta(minutes=1)

    @declared(fee_ids=True)
    @pytest.mark.parametrize("text", _TEXTS)
    def test_the_text_of_a_fee_comes_as_it_was_written(self, text: str) -> None:
        text = text.encode(self.stand.charset, "ignore").decode(self.stand.charset)
        person = self.patron(valid_until=long_ahead(self.stand))
        self.stand.add_fee(person, 450, text=text)
        assert [fee.text for fee in self.account(person).fees] == [text]

    @declared(fee_ids=True)
    @pytest.mark.parametrize("since", [date(2024, 2, 29), date(2025, 12, 31), date(2026, 3, 29)])
    def test_the_day_of_a_fee_is_the_right_one_or_none(self, since: date) -> None:
        person = self.patron(valid_until=long_ahead(self.stand))
        self.stand.add_fee(person, 450, since=since)
        [fee] = self.account(person).fees
        assert fee.since in {since, None}

    @pytest.mark.parametrize("valid_until", [date(2028, 2, 29), date(2026, 12, 31), date(2020, 1, 1)])
    def test_the_day_on_which_a_card_ends_is_the_right_one_or_none(self, valid_until: date) -> None:
        assert self.card(self.patron(valid_until=valid_until)).valid_until in {valid_until, None}

    def test_a_card_says_its_number_or_none(self) -> None:
        person = self.patron()
        assert self.card(person).number in {person.card, None}

    def test_a_block_by_hand_is_seen_and_stays(self) -> None:
        person = self.patron(valid_until=long_ahead(self.stand))
        assert [block for block in self.card(person).blocks if block.manual] == []
        self.stand.block(person)
        blocks = self.card(person).blocks
        assert blocks
        assert not [block for block in blocks if block.manual and block.liftable]

    def test_two_patrons_are_never_mixed_up(self) -> None:
        one, other = self.patron(450), self.patron(150)
        assert (self.account(one).balance, self.account(other).balance) == (450, 150)
        assert self.ref(one) != self.ref(other)
        assert self.account(one).balance == 450

    def test_a_reference_is_stable_and_is_not_the_card_number(self) -> None:
        person = self.patron()
        assert self.ref(person) == self.ref(person)
        assert person.card not in self.ref(person)

    @declared(unattended_read=True)
    def test_a_patron_is_found_by_the_whole_card_number_only(self) -> None:
        card = self.patron().card
        for part in (
            card[:-1],
            card[1:],
            card + "0",
            card + "%",
            card[:-1] + "%",
            card[:-1] + "_",
            "*",
            "%",
            "",
        ):
            assert self.system.find_patron(part) is None, "a part of a card number found somebody"

    @declared(unattended_read=True)
    @pytest.mark.parametrize("ref", _ODD_REFS, ids=range(len(_ODD_REFS)))
    def test_a_patron_who_is_not_there_is_certainly_not_there(self, ref: str) -> None:
        self.patron(450)
        self.refused(lambda: self.system.account(PatronRef(ref)), RemoteAbsentError)
        self.refused(lambda: self.system.card(PatronRef(ref)), RemoteAbsentError)

    def test_several_questions_at_once_get_the_right_answers(self) -> None:
        people = [self.patron(100 + number) for number in range(self.can.parallel_calls * 2)]
        refs = [self.ref(person) for person in people]
        with ThreadPoolExecutor(self.can.parallel_calls) as pool:
            balances = [account.balance for account in pool.map(self.system.account, refs)]
        assert balances == [100 + number for number in range(len(people))]

    @declared(titles=True)
    def test_titles_are_told_by_item_and_what_is_unknown_is_left_out(self) -> None:
        person = self.patron(valid_until=long_ahead(self.stand))
        self.stand.add_title(person, "Brot backen ohne Hast")
        [fee] = self.account(person).fees
        gone = Fee(ref="1", claim_key="1", cents=1, kind="X", text="", item="99999999")
        titles = dict(self.system.titles([fee, gone]))
        assert list(titles) == [fee.item]
        assert "Brot backen ohne Hast" in titles[str(fee.item)]
        assert dict(self.system.titles([])) == {}
