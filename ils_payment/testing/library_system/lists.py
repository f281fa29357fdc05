"""Cards that end soon, prices, contact data, and blocks that are lifted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import Lifted
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import LibraryTests


class ListTests(LibraryTests):
    """What only some library systems can list or lift."""

    @declared(lists_expiring=True)
    def test_cards_that_end_on_the_first_or_last_day_are_listed_and_others_are_not(self) -> None:
        first = self.stand.world.now().date() + timedelta(days=1000)
        last = first + timedelta(days=7)
        before, one, other, after = (
            self.patron(valid_until=day)
            for day in (first - timedelta(days=1), first, last, last + timedelta(days=1))
        )
        listed = {card.patron: card.valid_until for card in self.system.expiring(first, last)}
        assert listed == {self.ref(one): first, self.ref(other): last}
        assert {self.ref(before), self.ref(after)}.isdisjoint(listed)

    @declared(lists_expiring=True)
    def test_a_card_comes_with_the_mail_address_or_with_none(self) -> None:
        day = self.stand.world.now().date() + timedelta(days=1000)
        self.patron(valid_until=day, email="erika@mail.example")
        self.patron(valid_until=day)
        found = [card.email for card in self.system.expiring(day, day)]
        assert sorted(found, key=str) == [None, "erika@mail.example"]

    @declared(lists_expiring=True)
    def test_all_cards_are_listed_however_many_there_are(self) -> None:
        day = self.stand.world.now().date() + timedelta(days=1000)
        for _ in range(130):
            self.patron(valid_until=day)
        assert len({card.patron for card in self.system.expiring(day, day)}) == 130

    @declared(lists_expiring=True)
    def test_cards_that_could_not_be_listed_are_an_error(self) -> None:
        day = self.stand.world.now().date()
        self.stand.go_away()
        self.refused(lambda: self.system.expiring(day, day), RemoteUnavailableError)

    @declared(prices_categories=True)
    def test_prices_are_cents_by_category(self) -> None:
        prices = self.system.category_fees()
        assert prices
        assert all(type(one.cents) is int and one.cents >= 0 and one.category for one in prices)
        assert len({one.category for one in prices}) == len(prices)

    @declared(shows_contact=True)
    @pytest.mark.parametrize("name", ["Erika Mustermann", "Jürgen Größe-Łęcka"])
    def test_contact_data_are_those_of_the_patron(self, name: str) -> None:
        name = name.encode(self.stand.charset, "ignore").decode(self.stand.charset)
        person = self.patron(name=name, email="erika@mail.example")
        contact = self.system.contact(self.ref(person))
        assert (contact.name, contact.email) == (name, "erika@mail.example")

    @declared(can_lift=True)
    def test_a_block_that_hung_on_fees_is_lifted_once_and_no_other(self) -> None:
        person = self.patron(450)
        self.stand.block_for_fees(person)
        self.stand.block(person)
        [block] = [one for one in self.card(person).blocks if one.liftable and not one.manual]
        outcome = self.tell(self.system.lift_block(self.ref(person), block))
        assert isinstance(outcome, Lifted)
        assert self.stand.blocks(person) == 1
        self.tell(self.system.lift_block(self.ref(person), block))
        assert self.stand.blocks(person) == 1

    @declared(can_lift=True)
    def test_a_block_by_hand_is_never_lifted(self) -> None:
        person = self.patron(450)
        self.stand.block(person)
        for block in self.card(person).blocks:
            assert not isinstance(self.tell(self.system.lift_block(self.ref(person), block)), Lifted)
        assert self.stand.blocks(person) == 1
