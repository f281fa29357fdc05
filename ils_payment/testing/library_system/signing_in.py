"""Card number and PIN."""

from __future__ import annotations

from datetime import date

import pytest

from ils_payment.model import Refused, Unavailable
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import LibraryTests
from ils_payment.testing.stands import Call

_WRONG_PINS = ("", " ", "0" * 300, "%", "' OR '1'='1", "\x00", "1234\r63001", "|AD1234", "ä", "\ud83d\ude00")


class SigningInTests(LibraryTests):
    """``sign_in``."""

    @declared(sign_in=True)
    def test_card_and_pin_lead_to_the_patron(self) -> None:
        person = self.patron(450)
        patron = self.system.sign_in(person.card, person.pin)
        assert patron == self.ref(person)
        assert self.system.account(patron).balance == 450

    @declared(sign_in=True)
    def test_a_wrong_pin_and_an_unknown_card_are_refused_alike(self) -> None:
        person = self.patron()
        wrong = self.system.sign_in(person.card, person.pin + "1")
        unknown = self.system.sign_in(person.card + "1", person.pin)
        assert wrong == unknown == Refused()

    @declared(sign_in=True)
    @pytest.mark.parametrize("pin", _WRONG_PINS, ids=range(len(_WRONG_PINS)))
    def test_an_odd_pin_is_refused_and_breaks_nothing(self, pin: str) -> None:
        person = self.patron()
        pin = pin.encode("utf-16", "surrogatepass").decode("utf-16")
        assert isinstance(self.tell(self.system.sign_in(person.card, pin)), Refused | Unavailable)
        assert self.system.sign_in(person.card, person.pin) == self.ref(person)

    @declared(sign_in=True)
    @pytest.mark.parametrize("card", ["", "%", "_", "*", "x" * 300, "1\r2"], ids=range(6))
    def test_an_odd_card_number_is_refused_and_breaks_nothing(self, card: str) -> None:
        person = self.patron()
        assert isinstance(self.tell(self.system.sign_in(card, person.pin)), Refused | Unavailable)

    @declared(sign_in=True)
    def test_the_pin_of_another_patron_does_not_fit(self) -> None:
        one, other = self.patron(), self.patron(100)
        if one.pin == other.pin:
            pytest.skip("all patrons of this stand have the same PIN")
        assert self.system.sign_in(one.card, other.pin) == Refused()

    @declared(sign_in=True)
    def test_who_is_blocked_or_has_an_expired_card_may_sign_in_to_pay(self) -> None:
        expired = self.patron(valid_until=date(2020, 1, 1))
        blocked = self.patron(450)
        self.stand.block(blocked)
        for person in (expired, blocked):
            assert isinstance(self.system.sign_in(person.card, person.pin), str)

    @declared(sign_in=True)
    def test_a_system_that_is_down_does_not_call_a_pin_wrong(self) -> None:
        person = self.patron()
        self.stand.go_away()
        assert isinstance(self.tell(self.system.sign_in(person.card, person.pin)), Unavailable)

    @declared(sign_in=True)
    def test_a_system_that_refuses_us_does_not_call_a_pin_wrong(self) -> None:
        person = self.patron()
        self.stand.refuse_us()
        assert isinstance(self.tell(self.system.sign_in(person.card, person.pin)), Unavailable)

    @declared(sign_in=True)
    def test_signing_in_moves_no_money(self) -> None:
        person = self.patron(450)
        self.system.sign_in(person.card, person.pin)
        assert self.stand.calls(Call.SETTLE) == 0
        self.nothing_was_written(person)
