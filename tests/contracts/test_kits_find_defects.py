"""The kits are worth something: a plugin gets one defect, and the test that is for it fails.

The simulated remotes stay as they are; only what the plugin does or says is spoiled.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from ils_payment_shelf.stand import ShelfStand
from ils_payment_stripe.simulator.stand import StripeStand

from ils_payment.errors import RemoteError
from ils_payment.model import (
    Applied,
    NotApplied,
    Notice,
    PayState,
    RefundRefused,
    Refused,
    Reply,
    StartRefused,
    Unavailable,
    Unclear,
)
from ils_payment.testing.library_system import LibrarySystemContract
from ils_payment.testing.line import Fault
from ils_payment.testing.provider import ProviderContract


class Spoiled:
    """A plugin of which single methods are others."""

    def __init__(self, plugin, methods):
        self._plugin = plugin
        for name, method in methods.items():
            setattr(self, name, partial(method, plugin))

    def __getattr__(self, name):
        return getattr(self._plugin, name)


def twice_when_unclear(method):
    def act(plugin, order):
        outcome = getattr(plugin, method)(order)
        return getattr(plugin, method)(order) if isinstance(outcome, Unclear) else outcome

    return act


def instead(method, kind, other):
    """Call *method*, and say *other* where its outcome is a *kind*."""

    def act(plugin, *args):
        outcome = getattr(plugin, method)(*args)
        return other if isinstance(outcome, kind) else outcome

    return act


def silent(method, nothing):
    """Call *method*, and answer *nothing* where it cannot be answered."""

    def act(plugin, *args):
        try:
            return getattr(plugin, method)(*args)
        except RemoteError:
            return nothing

    return act


def changed(method, change):
    """Call *method*, and change what it says."""
    return lambda plugin, *args: change(getattr(plugin, method)(*args))


def always(said):
    """Say *said*, whatever is asked."""
    return lambda *_args: said


def raises(_plugin, *_args):
    raise RuntimeError("a bug")


def rounded(account):
    fees = tuple(replace(fee, cents=int(fee.cents / 100 * 100)) for fee in account.fees)
    return replace(account, fees=fees, balance=sum(fee.cents for fee in fees))


def tells_the_pin(plugin, card, pin):
    outcome = plugin.sign_in(card, pin)
    return Unavailable(f"no answer for {card} with {pin}") if isinstance(outcome, Unavailable) else outcome


APPLIED = Applied(remote_ref="1", applied=450, unapplied=0)
UNCLEAR = "test_a_call_whose_answer_is_missing_is_unclear_and_is_sent_once"
LIBRARY_DEFECTS = {
    "repeats what was unclear": ("settle", twice_when_unclear("settle"), UNCLEAR, [Fault.REQUEST_LOST]),
    "calls it certain that nothing happened": (
        "settle",
        instead("settle", Unclear, NotApplied(reason="x")),
        UNCLEAR,
        [Fault.ANSWER_LOST],
    ),
    "believes any answer": ("settle", instead("settle", Unclear, APPLIED), UNCLEAR, [Fault.GARBLED]),
    "raises in the money call": ("settle", raises, UNCLEAR, [Fault.ANSWER_LOST]),
    "sends after its time": (
        "settle",
        lambda plugin, order: plugin.settle(replace(order, send_before=None)),
        "test_after_its_time_nothing_is_sent",
        [],
    ),
    "writes no marker": (
        "settle",
        lambda plugin, order: plugin.settle(replace(order, marker="")),
        "test_the_marker_is_written_with_the_credit",
        [],
    ),
    "pays the fees of others too": (
        "settle",
        lambda plugin, order: plugin.settle(
            replace(order, cents=order.cents - 1, lines=(replace(order.lines[0], cents=order.cents - 1),))
        ),
        "test_an_amount_is_settled_to_the_cent",
        [450],
    ),
    "calls a marker absent that it could not look for": (
        "find_credits",
        silent("find_credits", []),
        "test_a_marker_that_could_not_be_looked_for_is_never_called_absent",
        [],
    ),
    "finds every credit": (
        "find_credits",
        lambda plugin, patron, _marker: plugin.find_credits(patron, "ILSP-7K3M9Q-4"),
        "test_another_marker_is_not_taken_for_ours",
        ["ILSP-%"],
    ),
    "counts with floats": (
        "account",
        changed("account", rounded),
        "test_an_amount_is_read_to_the_cent",
        [29],
    ),
    "calls a PIN wrong when nobody answers": (
        "sign_in",
        instead("sign_in", Unavailable, Refused()),
        "test_a_system_that_is_down_does_not_call_a_pin_wrong",
        [],
    ),
    "tells the PIN": ("sign_in", tells_the_pin, "test_a_system_that_is_down_does_not_call_a_pin_wrong", []),
    "says that a card exists": (
        "find_patron",
        lambda plugin, card: plugin.find_patron(card.rstrip("%")),
        "test_a_patron_is_found_by_the_whole_card_number_only",
        [],
    ),
    "does what it does not declare": (
        "renew_card",
        always(APPLIED),
        "test_a_renewal_that_is_not_declared_is_refused",
        [],
    ),
}
START, REFUND = (
    "test_a_start_whose_answer_is_missing_is_unclear_and_is_sent_once",
    "test_a_refund_whose_answer_is_missing_is_unclear_and_is_sent_once",
)
ANY_NOTICE = [Notice(key="1", kind="x", session_ref="x")]
PROVIDER_DEFECTS = {
    "starts once more": ("start", twice_when_unclear("start"), START, [Fault.REQUEST_LOST]),
    "calls it certain that there is no session": (
        "start",
        instead("start", Unclear, StartRefused(reason="x")),
        START,
        [Fault.ERROR_AFTER],
    ),
    "starts under another key each time": (
        "start",
        lambda plugin, attempt: plugin.start(replace(attempt, key=f"{id(object())}{plugin._host.now()}")),
        "test_a_session_that_nobody_heard_of_is_found_and_is_the_only_one",
        [Fault.ANSWER_LOST],
    ),
    "says there is none when it cannot look": (
        "find",
        silent("find", None),
        "test_a_lookup_that_failed_never_says_that_there_is_none",
        [],
    ),
    "calls paid what is pending": (
        "read",
        changed("read", lambda seen: replace(seen, state=PayState.PAID)),
        "test_a_payment_that_a_bank_has_yet_to_confirm_is_not_paid",
        [],
    ),
    "tells the sum that was asked for": (
        "read",
        changed("read", lambda seen: replace(seen, captured=1250)),
        "test_another_sum_than_was_asked_for_is_told_as_it_is",
        [],
    ),
    "closes nothing": (
        "close",
        lambda plugin, ref: replace(plugin.read(ref), state=PayState.VOID, final=True),
        "test_a_closed_session_can_never_be_paid",
        [],
    ),
    "takes unsigned notices": (
        "notice",
        always(ANY_NOTICE),
        "test_without_its_signature_a_notice_is_forged",
        [],
    ),
    "takes any key": (
        "notice",
        always(ANY_NOTICE),
        "test_a_notice_signed_with_another_key_is_forged",
        [],
    ),
    "never looks at the clock": (
        "notice",
        lambda plugin, request, _now: plugin.notice(request, plugin._host.now()),
        "test_an_old_notice_and_one_from_the_future_are_forged_where_the_time_is_signed",
        [24],
    ),
    "refunds once more": ("refund", twice_when_unclear("refund"), REFUND, [Fault.ANSWER_LOST]),
    "calls it certain that nothing went back": (
        "refund",
        instead("refund", Unclear, RefundRefused(reason="x")),
        REFUND,
        [Fault.ANSWER_LOST],
    ),
    "forgets its key": (
        "refund",
        lambda plugin, order: plugin.refund(replace(order, key="")),
        "test_the_whole_goes_back",
        [],
    ),
    "hides refunds that failed": (
        "find_refunds",
        always([]),
        "test_a_refund_that_failed_stays_in_the_list_as_failed",
        [],
    ),
    "lists the first page only": (
        "payments",
        changed("payments", lambda page: replace(page, cursor=None)),
        "test_every_payment_is_listed_once_however_many_pages_there_are",
        [],
    ),
    "lets nobody repeat": (
        "reply",
        always(Reply(status=200)),
        "test_what_was_stored_is_answered_with_success_and_a_fault_of_ours_is_not",
        ["busy"],
    ),
}


def fails(contract, stand, field, defect):
    method, spoiled, test, arguments = defect
    case = type("Case", (contract,), {"on": stand})()
    case.stand, case.said = stand(), []
    case.opened()
    setattr(case, field, Spoiled(getattr(case, field), {method: spoiled}))

    def tested():
        getattr(case, test)(*arguments)
        case.nothing_confidential_was_told("")

    with pytest.raises((AssertionError, pytest.fail.Exception, RuntimeError)):
        tested()


@pytest.mark.parametrize("defect", LIBRARY_DEFECTS.values(), ids=LIBRARY_DEFECTS)
def test_a_library_system_with_a_defect_does_not_pass(defect):
    fails(LibrarySystemContract, ShelfStand, "system", defect)


@pytest.mark.parametrize("defect", PROVIDER_DEFECTS.values(), ids=PROVIDER_DEFECTS)
def test_a_provider_with_a_defect_does_not_pass(defect):
    fails(ProviderContract, StripeStand, "provider", defect)
