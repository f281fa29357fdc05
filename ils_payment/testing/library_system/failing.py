"""Questions that cannot be answered: an error of ours each time, and never a guess."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ils_payment.errors import RemoteGarbledError, RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import MarkerSupport
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, LibraryTests
from ils_payment.testing.line import Fault
from ils_payment.testing.stands import Call


class FailingTests(LibraryTests):
    """``account``, ``card``, ``find_patron`` and the lists, of a system that is unwell."""

    @declared(unattended_read=True)
    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
    def test_an_account_that_cannot_be_read_is_an_error_and_the_next_reading_works(
        self, fault: Fault
    ) -> None:
        person = self.patron(450)
        patron = self.ref(person)
        self.stand.break_next(Call.READ, fault)
        self.refused(lambda: self.system.account(patron), RemoteUnavailableError, RemoteGarbledError)
        assert self.system.account(patron).balance == 450

    @declared(unattended_read=True)
    def test_of_a_system_that_is_down_every_question_is_unavailable(self) -> None:
        person = self.patron(450)
        patron = self.ref(person)
        self.stand.go_away()
        self.refused(lambda: self.system.account(patron), RemoteUnavailableError)
        self.refused(lambda: self.system.card(patron), RemoteUnavailableError)
        self.refused(lambda: self.system.find_patron(person.card), RemoteUnavailableError)

    @declared(unattended_read=True)
    def test_a_system_that_refuses_us_is_for_the_administrator_and_says_what_to_do(self) -> None:
        person = self.patron(450)
        patron = self.ref(person)
        self.stand.refuse_us()
        for question in (
            lambda: self.system.account(patron),
            lambda: self.system.card(patron),
            lambda: self.system.find_patron(person.card),
        ):
            assert self.refused(question, RemoteRefusedError).mend

    @declared(marker=MarkerSupport.READABLE)
    def test_a_marker_that_could_not_be_looked_for_is_never_called_absent(self) -> None:
        patron = self.ref(self.patron(450))
        self.stand.go_away()
        self.refused(lambda: self.system.find_credits(patron, MARKER), RemoteUnavailableError)

    @declared(credit_list=True)
    def test_a_list_that_could_not_be_read_is_never_called_empty(self) -> None:
        patron = self.ref(self.patron(450))
        since = self.stand.world.now() - timedelta(hours=1)
        self.stand.go_away()
        self.refused(lambda: self.system.recent_credits(patron, since), RemoteUnavailableError)
