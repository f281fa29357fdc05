"""What is declared, and that what is not declared is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ils_payment.errors import RemoteError
from ils_payment.model import (
    Block,
    ChargeOrder,
    Level,
    MarkerSupport,
    NotApplied,
    PatronRef,
    Refused,
    RenewOrder,
    RenewSupport,
    SystemCapabilities,
    Unavailable,
)
from ils_payment.ports import (
    Charging,
    Contacting,
    Expiring,
    LibrarySystem,
    Lifting,
    PluginConfig,
    Pricing,
    Renewing,
)
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system.base import MARKER, LibraryTests

_PROTOCOLS = {
    "can_charge": Charging,
    "can_renew": Renewing,
    "can_lift": Lifting,
    "lists_expiring": Expiring,
    "prices_categories": Pricing,
    "shows_contact": Contacting,
}


class DoorTests(LibraryTests):
    """Declarations, and the refusal of everything else."""

    def test_it_is_a_library_system_with_a_configuration_of_its_own(self) -> None:
        assert isinstance(self.system, LibrarySystem)
        assert issubclass(type(self.system).Config, PluginConfig)

    def test_neither_opening_nor_asking_for_capabilities_sends_anything(self) -> None:
        assert isinstance(self.can, SystemCapabilities)
        assert self.system.capabilities() == self.can
        assert self.stand.sent() == 0

    def test_its_limits_make_sense(self) -> None:
        assert self.can.min_cents >= 1
        assert self.can.parallel_calls >= 1
        assert timedelta(0) < self.can.late_apply_max <= timedelta(days=1)

    def test_no_secret_is_in_what_it_declares(self) -> None:
        self.said.append(repr(self.can))

    @pytest.mark.parametrize("capability", _PROTOCOLS)
    def test_what_it_declares_it_has(self, capability: str) -> None:
        value = getattr(self.can, capability)
        if value not in {False, RenewSupport.NO}:
            assert isinstance(self.system, _PROTOCOLS[capability])

    @declared(can_charge=False)
    def test_a_charge_that_is_not_declared_is_refused(self) -> None:
        person = self.patron()
        order = ChargeOrder(
            patron=self.ref(person),
            marker=MARKER,
            cents=100,
            currency=self.stand.library.currency,
            kind="",
            settled_with=MARKER,
        )
        self._refuses("charge", order, sends_nothing=True)
        self._refuses("find_charges", order.patron, MARKER)

    @declared(can_renew=RenewSupport.NO)
    def test_a_renewal_that_is_not_declared_is_refused(self) -> None:
        person = self.patron()
        base = self.card(person).valid_until or date(2027, 1, 1)
        until = base + timedelta(days=365)
        order = RenewOrder(patron=self.ref(person), marker=MARKER, base=base, until=until)
        self._refuses("renew_card", order, sends_nothing=True)
        assert self.card(person).valid_until in {base, None}

    @declared(can_lift=False)
    def test_lifting_a_block_that_is_not_declared_is_refused(self) -> None:
        self._refuses("lift_block", PatronRef("1"), Block(kind="fees", liftable=True), sends_nothing=True)

    @declared(marker=(MarkerSupport.WRITE_ONLY, MarkerSupport.NONE))
    def test_markers_that_cannot_be_read_are_never_called_absent(self) -> None:
        patron = self.ref(self.patron())
        self.refused(lambda: self.system.find_credits(patron, MARKER))

    @declared(credit_list=False)
    def test_a_list_of_credits_that_is_not_declared_is_never_called_empty(self) -> None:
        patron = self.ref(self.patron())
        self.refused(lambda: self.system.recent_credits(patron, datetime(2026, 1, 1, tzinfo=UTC)))

    @declared(sign_in=False)
    def test_a_sign_in_that_is_not_declared_is_refused(self) -> None:
        person = self.patron()
        assert isinstance(self.tell(self.system.sign_in(person.card, person.pin)), Refused | Unavailable)

    @declared(titles=False)
    def test_titles_that_are_not_declared_are_not_told(self) -> None:
        fees = self.account(self.patron(450)).fees
        before = self.stand.sent()
        assert dict(self.system.titles(fees)) == {}
        assert self.stand.sent() == before

    @declared(lists_expiring=False)
    def test_a_list_of_cards_that_is_not_declared_is_refused(self) -> None:
        self._refuses("expiring", date(2026, 1, 1), date(2027, 1, 1))

    @declared(prices_categories=False)
    def test_prices_that_are_not_declared_are_refused(self) -> None:
        self._refuses("category_fees")

    @declared(shows_contact=False)
    def test_contact_data_that_are_not_declared_are_refused(self) -> None:
        self._refuses("contact", PatronRef("1"))

    @declared(unattended_read=False)
    def test_what_needs_a_pin_is_refused_without_one(self) -> None:
        person = self.patron(450)
        patron = self.ref(person)
        # A new process has seen no PIN.
        self.system = self.stand.open()
        self.refused(lambda: self.system.account(patron))
        self.refused(lambda: self.system.card(patron))

    def _refuses(self, method: str, *arguments: Any, sends_nothing: bool = False) -> None:  # noqa: ANN401 - of any method
        """Call what is not declared: it is not there, or it says no; it never answers and never writes."""
        call = getattr(self.system, method, None)
        if call is None:
            return
        sent = self.stand.sent()
        try:
            outcome = self.tell(call(*arguments))
        except RemoteError as error:
            self.said.append(str(error))
        else:
            assert isinstance(outcome, NotApplied), f"{method} is not declared and answered all the same"
        if sends_nothing:
            assert self.stand.sent() == sent


class CheckTests(LibraryTests):
    """``check``, as an administrator calls it."""

    def _check(self) -> dict[Level, list[str]]:
        findings = self.system.check()
        assert findings
        self.said += [f"{one.subject} {one.seen} {one.mend}" for one in findings]
        assert all(one.subject and one.seen for one in findings)
        assert all(one.mend for one in findings if one.level is Level.ERROR), "an error has a mend"
        return {level: [one.seen for one in findings if one.level is level] for level in Level}

    def test_a_check_finds_nothing_wrong_where_nothing_is(self) -> None:
        self.patron()
        assert self._check()[Level.ERROR] == []

    def test_a_check_moves_no_money(self) -> None:
        person = self.patron(450)
        self._check()
        self.nothing_was_written(person)
        assert self.account(person).balance == 450

    def test_a_check_of_a_system_that_is_down_says_so(self) -> None:
        self.stand.go_away()
        assert self._check()[Level.ERROR]

    def test_a_check_with_wrong_credentials_says_so(self) -> None:
        self.stand.refuse_us()
        assert self._check()[Level.ERROR]
