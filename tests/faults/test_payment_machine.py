"""One payment, and whatever may happen to it, in every order that Hypothesis thinks of.

After each step the library system and the ledger are looked at; after the last one all faults end,
and the rules of :mod:`tests.faults.failpoints_rules` are held. ``make machine`` plays 1,000 examples of
50 steps; ``PAYMENT_MACHINE_EXAMPLES`` and ``PAYMENT_MACHINE_STEPS`` change that.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ils_payment_stripe.simulator import NotPayableError

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from tests.conftest import KOHA, STRIPE
from tests.faults.failpoints import template
from tests.faults.failpoints_clerks import approve, ask_refund, compare, resolve, withdraw
from tests.faults.failpoints_rules import hold_rules
from tests.faults.failpoints_stage import CREDIT, Death, Stage
from tests.faults.scenarios_renewing import DEBIT, PUT, begin_renewal

EXAMPLES = int(os.environ.get("PAYMENT_MACHINE_EXAMPLES", "12"))
STEPS = int(os.environ.get("PAYMENT_MACHINE_STEPS", "30"))
KOHA_FAULTS = ("500", "500 booked", "504 booked", "lost", "late", "deadlock", "503")
STRIPE_FAULTS = ("answer", "request", "500", "503 after")


class PaymentMachine(RuleBasedStateMachine):
    """The payment of one patron at one desk, with everybody around."""

    template: ClassVar[Path]
    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(self.template, self.template.with_name(f"machine-{os.getpid()}.db"))
        self.late_until = 0.0

    @initialize(
        proof=st.booleans(), method=st.sampled_from(["card", "instant_bank_transfer"]), cards=st.booleans()
    )
    def begins(self, proof: bool, method: str, cards: bool) -> None:
        if proof:
            self.stage.settle_somebody_first()
        if cards:
            self.stage.sell_cards()
            begin_renewal(self.stage)
        self.stage.begin(method=method)

    # --- the patron -----------------------------------------------------------------------------

    @rule(method=st.sampled_from(["card", "instant_bank_transfer"]))
    def confirms_again(self, method: str) -> None:
        self.stage.begin(method=method)

    @precondition(lambda self: self.stage.town.sells_cards)
    @rule(fees=st.booleans())
    def renews_the_card(self, fees: bool) -> None:
        begin_renewal(self.stage, fees=fees)

    @precondition(lambda self: self.stage.town.sells_cards)
    @rule()
    def desk_renews_the_card(self) -> None:
        self.stage.koha.renew_account(self.stage.koha.patron_ids["jan"])

    @precondition(lambda self: self.stage.town.sells_cards)
    @rule(
        operation=st.sampled_from([PUT, DEBIT]),
        fault=st.sampled_from(["lost", "not applied", "late", "500"]),
        late=st.integers(1, 880),
    )
    def koha_fails_at_the_card(self, operation: str, fault: str, late: int) -> None:
        if fault == "late":
            self.stage.koha.apply_late(late, operation=operation)
        else:
            status = 500 if fault == "500" else 0
            applied = fault != "not applied"
            self.stage.koha.fail_next(1, status=status, operation=operation, after_effect=applied)

    @rule()
    def cancels(self) -> None:
        self.stage.cancel()

    # --- the provider ---------------------------------------------------------------------------

    @rule()
    def pays(self) -> None:
        self.stage.pay()

    @rule(cents=st.sampled_from([1, 149, 151, 77_777]))
    def pays_another_amount(self, cents: int) -> None:
        self.stage.each_open(self.stage.stripe.pay_other_amount, cents)

    @rule()
    def pays_in_another_currency(self) -> None:
        self.stage.each_open(self.stage.stripe.pay_other_currency, "chf", 150, forced=True)

    @rule()
    def is_declined(self) -> None:
        self.stage.each_open(self.stage.stripe.decline)

    @rule()
    def leaves_it_to_the_bank(self) -> None:
        for key in self.stage.open_sessions():
            if "pay_by_bank" in self.stage.stripe.book.sessions[key]["payment_method_types"]:
                self.stage.stripe.pay_pending(key)

    @rule(pays=st.booleans())
    def bank_decides(self, pays: bool) -> None:
        self.stage.bank(pays=pays)

    @rule()
    def money_comes_late(self) -> None:
        for key, one in list(self.stage.stripe.book.sessions.items()):
            if one["status"] == "expired":
                self.stage.stripe.pay_after_expiry(key, one["payment_method_types"][0])
                return

    @rule(partly=st.booleans())
    def is_refunded_at_the_provider(self, partly: bool) -> None:
        self._first_paid(lambda key: self.stage.stripe.refund_in_dashboard(key, 1 if partly else None))

    @rule()
    def is_charged_back(self) -> None:
        if not self.stage.stripe.book.disputes:
            self._first_paid(self.stage.stripe.dispute)

    def _first_paid(self, act) -> None:
        for key in list(self.stage.stripe.book.sessions):
            if key in self.stage.earlier_sessions:
                continue
            try:
                act(key)
                return
            except NotPayableError:
                continue

    # --- the program ----------------------------------------------------------------------------

    @rule()
    def hears(self) -> None:
        self.stage.hear()

    @rule(seconds=st.sampled_from([1, 5, 30, 125, 400, 1000, 4000, 100_000]))
    def time_passes(self, seconds: int) -> None:
        self.stage.later(seconds=seconds)

    @rule(ahead=st.integers(0, 60), after=st.booleans())
    def dies_soon(self, ahead: int, after: bool) -> None:
        if not self.stage.deaths:
            self.stage.deaths.append(Death(len(self.stage.passed) + ahead, after))

    @rule(
        place=st.sampled_from(["settle.before_call", "settle.after_call", "settle.leased", "hands.taken"]),
        seconds=st.sampled_from([0, 125, 1000]),
    )
    def another_worker_takes_over(self, place: str, seconds: int) -> None:
        self.stage.at(place, lambda: self.stage.another_worker(seconds))

    # --- the library system and its people ------------------------------------------------------

    @rule(fault=st.sampled_from(KOHA_FAULTS), late=st.integers(1, 880))
    def koha_fails(self, fault: str, late: int) -> None:
        koha = self.stage.koha
        match fault:
            case "500":
                koha.fail_next(1, operation=CREDIT)
            case "500 booked" | "504 booked":
                koha.fail_next(1, status=int(fault[:3]), operation=CREDIT, after_effect=True)
            case "lost":
                koha.lose_answer()
            case "late":
                koha.apply_late(late)
            case "deadlock":
                koha.deadlock_next()
            case _:
                koha.fail_next(2, status=503)

    @rule(fault=st.sampled_from(STRIPE_FAULTS))
    def stripe_fails(self, fault: str) -> None:
        faults = self.stage.stripe.faults
        match fault:
            case "answer":
                faults.lose_answer(1)
            case "request":
                faults.lose_request(1)
            case "500":
                faults.fail_next(1, status=500)
            case _:
                faults.fail_next(1, status=503, after_effect=True)

    @rule(host=st.sampled_from([KOHA, STRIPE]))
    def remote_goes_away(self, host: str) -> None:
        self.stage.leave(host)

    @rule()
    def remotes_come_back(self) -> None:
        self.stage.come_back()

    @rule(what=st.sampled_from(["pay_at_desk", "waive"]), cents=st.sampled_from([None, 1]))
    def desk_closes_the_fee(self, what: str, cents: int | None) -> None:
        self.stage.desk(what, cents=cents)

    @rule()
    def desk_closes_the_fee_in_between(self) -> None:
        self.stage.at("koha.settle.before", lambda: self.stage.desk("pay_at_desk"))

    @rule(cents=st.integers(100, 999))
    def another_fee_is_charged(self, cents: int) -> None:
        self.stage.fee(cents)

    @rule(cents=st.sampled_from([50, 5000]))
    def credit_appears(self, cents: int) -> None:
        self.stage.koha.add_open_credit(self.stage.koha.patron_ids["jan"], cents)

    # --- clerks ---------------------------------------------------------------------------------

    @rule(choice=st.sampled_from([one for one in Choice if one is not Choice.REFUND]))
    def clerk_decides(self, choice: Choice) -> None:
        resolve(self.stage, choice, reference="Beleg 4")

    @rule(meaning=st.sampled_from(list(Meaning)), lines=st.sampled_from([None, 1]))
    def clerk_asks_for_a_refund(self, meaning: Meaning, lines: int | None) -> None:
        ask_refund(self.stage, meaning, lines=lines)

    @rule()
    def second_person_approves(self) -> None:
        approve(self.stage)

    @rule()
    def refund_is_withdrawn(self) -> None:
        withdraw(self.stage)

    @precondition(lambda self: not self.stage.deaths)
    @rule()
    def books_are_compared(self) -> None:
        compare(self.stage)

    # --- what has to be true --------------------------------------------------------------------

    def check_invariants(self, *args, **more) -> None:
        """Look at the credits after every step; the rest is for the end."""
        super().check_invariants(*args, **more)
        counted = Counter(
            line.note
            for line in self.stage.koha.tables.lines.values()
            if line.credit_type is not None and line.note.startswith("ILSP-")
        )
        assert all(count == 1 for count in counted.values()), counted

    def teardown(self) -> None:
        try:
            self.stage.deaths.clear()
            self.stage.drain()
            self.counted.update(hold_rules(self.stage.town).values())
        finally:
            self.stage.close()
            for left in self.template.parent.glob(f"machine-{os.getpid()}.db*"):
                left.unlink()


@pytest.fixture(scope="module")
def empty_ledger() -> Iterator[Path]:
    with template() as path:
        yield path


@pytest.mark.timeout(7_200)
def test_whatever_happens_to_a_payment_no_cent_is_lost_or_doubled(empty_ledger, capsys):
    PaymentMachine.template = empty_ledger
    PaymentMachine.counted.clear()
    run_state_machine_as_test(
        PaymentMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        # How many payments there were, and how they ended, is counted, not claimed.
        counted = dict(PaymentMachine.counted)
        print(f"\n  {EXAMPLES} examples of {STEPS} steps: {counted}", end="")
    assert len(PaymentMachine.counted) >= 2
