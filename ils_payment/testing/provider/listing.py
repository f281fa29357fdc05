"""The provider's own list of what it took, and what it paid out."""

from __future__ import annotations

from datetime import datetime, timedelta

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import ListedPayment
from ils_payment.testing.kit import declared
from ils_payment.testing.provider.base import CENTS, ProviderTests

_DAY = timedelta(days=1)


class ListingTests(ProviderTests):
    """``payments`` and ``payouts``."""

    def _listed(self, since: datetime, until: datetime) -> list[ListedPayment]:
        listed: list[ListedPayment] = []
        cursor = None
        while True:
            page = self.provider.payments(since, until, cursor)
            listed += page.payments
            assert len(listed) <= 1000, "the pages never end"
            cursor = page.cursor
            if cursor is None:
                return listed

    def _around(self) -> tuple[datetime, datetime]:
        return self.stand.world.now() - _DAY, self.stand.world.now() + _DAY

    @declared(listing=True)
    def test_what_was_taken_is_listed_as_it_was_paid(self) -> None:
        ref = self.paid()
        [one] = self._listed(*self._around())
        assert (one.session_ref or ref, one.reference, one.captured) == (ref, "PAY1", CENTS)
        assert (one.currency, one.installation) == (self.stand.library.currency, "installation-1")
        assert (one.reversed, one.live) == (0, self.can.live)
        assert one.money_ref
        assert one.at.tzinfo is not None

    @declared(listing=True)
    def test_what_nobody_paid_is_not_listed_as_taken(self) -> None:
        self.started()
        assert [one for one in self._listed(*self._around()) if one.captured] == []

    @declared(listing=True)
    def test_what_went_back_is_counted(self) -> None:
        self.stand.refund_by_hand(self.paid(), 400)
        assert [(one.captured, one.reversed) for one in self._listed(*self._around())] == [(CENTS, 400)]

    @declared(listing=True)
    def test_the_first_instant_belongs_to_the_list_and_the_last_does_not(self) -> None:
        self.paid()
        [one] = self._listed(*self._around())
        assert len(self._listed(one.at, one.at + timedelta(seconds=1))) == 1
        assert self._listed(one.at - _DAY, one.at) == []
        assert self._listed(one.at + timedelta(seconds=1), one.at + _DAY) == []

    @declared(listing=True)
    def test_every_payment_is_listed_once_however_many_pages_there_are(self) -> None:
        for number in range(105):
            self.paid(f"PAY{number}", 100 + number)
        listed = self._listed(*self._around())
        assert sorted(one.captured for one in listed) == [100 + number for number in range(105)]
        assert len({one.money_ref for one in listed}) == 105

    @declared(listing=True)
    def test_a_list_that_could_not_be_read_is_never_called_empty(self) -> None:
        self.paid()
        self.stand.go_away()
        self.refused(lambda: self._listed(*self._around()), RemoteUnavailableError)

    @declared(payouts=True)
    def test_a_payout_is_the_sum_of_its_entries_less_their_fees(self) -> None:
        self.paid("PAY1", 500)
        self.stand.refund_by_hand(self.paid("PAY2", 700), 200)
        since = self.stand.world.now() - _DAY
        self.stand.pay_out()
        payouts = self.provider.payouts(since, self.stand.world.now() + _DAY)
        assert payouts
        for one in payouts:
            assert one.cents == sum(entry.cents - entry.fee for entry in one.entries)
            assert one.currency == self.stand.library.currency
        entries = [entry for one in payouts for entry in one.entries]
        assert sorted(entry.cents for entry in entries if entry.kind == "payment") == [500, 700]
        assert [entry.cents for entry in entries if entry.kind == "refund"] == [-200]
        assert all(entry.fee >= 0 for entry in entries)

    @declared(payouts=True)
    def test_before_anything_arrived_there_is_no_payout(self) -> None:
        self.paid()
        assert list(self.provider.payouts(self.stand.world.now() - _DAY, self.stand.world.now())) == []

    @declared(payouts=True)
    def test_payouts_that_could_not_be_read_are_never_called_none(self) -> None:
        self.stand.go_away()
        now = self.stand.world.now()
        self.refused(lambda: self.provider.payouts(now - _DAY, now), RemoteUnavailableError)
