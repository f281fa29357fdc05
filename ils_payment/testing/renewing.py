"""The contract of a library system that renews cards; its author's tests prove it by inheriting from it.

.. code-block:: python

    class TestShelfRenews(RenewingContract):
        @pytest.fixture(autouse=True)
        def _stage(self):
            self.shelf = ShelfSimulator()
            self.system = ShelfSystem(config_for(self.shelf), host)
            self.patron, self.nobody = PatronRef("7"), PatronRef("999")
            self.now = host.now

        def expiries(self):
            return self.shelf.expiries_written["7"]

        ...

Each test begins on a stage of its own: one patron whose card has an expiry, and a remote that is well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ils_payment.model import NotApplied, PatronRef, Renewed, RenewOrder, RenewSupport, Unclear
from ils_payment.ports import LibrarySystem, Renewing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

_YEAR = timedelta(days=365)
_MARKER = "ILSP-7K3M9Q-4"


class RenewingContract(ABC):
    """Proves :class:`ils_payment.ports.Renewing` for one library system.

    The subclass sets ``system`` (connected to its simulated remote), ``patron`` (with an expiry), ``nobody``
    (a well-formed reference without a patron) and ``now`` (the host's clock), and says how its remote is
    looked at and broken.
    """

    system: Any
    patron: PatronRef
    nobody: PatronRef
    now: Callable[[], datetime]

    @abstractmethod
    def expiries(self) -> Sequence[date | None]:
        """Return every expiry that was ever written for the patron, oldest first, by the remote's books."""

    @abstractmethod
    def renew_elsewhere(self) -> None:
        """Let somebody at the desk renew the patron's card."""

    @abstractmethod
    def lose_next_answer(self, *, applied: bool) -> None:
        """Let the next call that writes an expiry break off without an answer, after or before its effect."""

    def order(self, **changes: Any) -> RenewOrder:  # noqa: ANN401 - fields of the order
        """Return the order to renew the card by a year from what it says now."""
        base = self.system.card(self.patron).valid_until
        assert base is not None, "the stage needs a patron whose card has an expiry"
        by_rule = self.system.capabilities().can_renew is RenewSupport.BY_RULE
        fields: dict[str, Any] = {
            "patron": self.patron,
            "marker": _MARKER,
            "base": base,
            "until": None if by_rule else base + _YEAR,
        }
        return RenewOrder(**(fields | changes))

    def test_what_is_declared_is_implemented(self) -> None:
        assert self.system.capabilities().can_renew is not RenewSupport.NO
        assert isinstance(self.system, LibrarySystem)
        assert isinstance(self.system, Renewing)

    def test_a_card_gets_the_new_expiry_and_the_answer_says_which(self) -> None:
        asked = self.order()
        outcome = self.system.renew_card(asked)
        assert isinstance(outcome, Renewed)
        assert outcome.valid_until == self.system.card(self.patron).valid_until
        assert outcome.valid_until == (asked.until or outcome.valid_until)
        assert self.expiries() == [outcome.valid_until]

    def test_no_money_moves(self) -> None:
        before = self.system.account(self.patron)
        self.system.renew_card(self.order())
        after = self.system.account(self.patron)
        assert (after.balance, after.fees) == (before.balance, before.fees)

    def test_the_same_order_again_renews_nothing(self) -> None:
        asked = self.order()
        self.system.renew_card(asked)
        assert isinstance(self.system.renew_card(asked), NotApplied)
        assert len(self.expiries()) == 1

    def test_a_card_that_was_renewed_meanwhile_is_not_touched(self) -> None:
        asked = self.order()
        self.renew_elsewhere()
        written = list(self.expiries())
        assert isinstance(self.system.renew_card(asked), NotApplied)
        assert list(self.expiries()) == written

    def test_an_expiry_never_moves_backwards(self) -> None:
        base = self.order().base
        assert base is not None
        # A library system with a rule of its own gets no day; its rule is its own to test.
        if self.system.capabilities().can_renew is RenewSupport.GIVEN_DATE:
            for until in (base, base - timedelta(days=1), None):
                assert isinstance(self.system.renew_card(self.order(until=until)), NotApplied)
        wrong = self.order(base=base - _YEAR)
        assert isinstance(self.system.renew_card(wrong), NotApplied)
        assert self.expiries() == []

    def test_a_patron_who_is_not_there_is_certainly_not_renewed(self) -> None:
        assert isinstance(self.system.renew_card(self.order(patron=self.nobody)), NotApplied)
        assert self.expiries() == []

    def test_a_lost_answer_is_never_called_certain(self) -> None:
        self.lose_next_answer(applied=True)
        assert isinstance(self.system.renew_card(self.order()), Unclear)
        assert len(self.expiries()) == 1

    def test_a_call_that_broke_off_is_not_called_renewed_and_not_repeated(self) -> None:
        self.lose_next_answer(applied=False)
        assert isinstance(self.system.renew_card(self.order()), Unclear | NotApplied)
        assert self.expiries() == []

    def test_after_its_time_nothing_is_sent(self) -> None:
        late = self.now() - timedelta(seconds=1)
        assert isinstance(self.system.renew_card(self.order(send_before=late)), NotApplied)
        assert self.expiries() == []

    def test_a_reason_says_nothing_personal(self) -> None:
        number = self.system.card(self.patron).number
        assert number, "the stage needs a patron with a card number"
        self.lose_next_answer(applied=False)
        lost = self.system.renew_card(self.order())
        refused = self.system.renew_card(self.order(base=date(1999, 1, 1)))
        assert number not in lost.reason + refused.reason
