"""What a worker that slept learns when persons have decided meanwhile is told to them."""

from __future__ import annotations

from dataclasses import replace

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide
from ils_payment.flows.advance import advance
from ils_payment.flows.hands import LEASE_SECONDS
from ils_payment.flows.verify import verify
from ils_payment.model import MarkerSupport
from tests.flows.decisions import TREASURER, case_of, kinds, refunded, resolve
from tests.flows.test_refunds_odd_answers import library_answers
from tests.flows.truths import DUE, paid, trail


def test_a_credit_that_is_known_after_its_payment_was_given_back_is_a_case(town):
    """No marker can be read back, so the persons decided on what they knew."""
    can = replace(town.desk.system.capabilities(), marker=MarkerSupport.WRITE_ONLY)
    library_answers(town, capabilities=can)
    payment_id = paid(town)
    town.deliver_webhooks()
    slept: list[str] = []

    def sleep(name):
        if name != "koha.settle.after" or slept:
            return
        slept.append(name)
        town.world.pass_time(seconds=LEASE_SECONDS + 1)
        advance(town.house, payment_id)
        town.run_for(minutes=30, rounds=3)
        case = case_of(town, payment_id)
        assert case.kind == "unclear"
        asked = resolve(town, case, Choice.REFUND, meaning=Meaning.DOUBLE_PAYMENT)
        assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
        town.run_for(minutes=30, rounds=3)
        assert refunded(town) == DUE
        assert kinds(town, payment_id) == []

    town.world.on_failpoint = sleep
    advance(town.house, payment_id)
    town.world.on_failpoint = None
    assert slept
    assert "call_applied" in trail(town, payment_id)
    (credit,) = town.credits()
    case = case_of(town, payment_id)
    assert (case.kind, case.facts["marker"]) == ("marker_wrong", credit["marker"])
    assert verify(town.house).findings == []
