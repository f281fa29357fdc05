"""What the provider tells while a payment is on its way into the library system is heard, too."""

from __future__ import annotations

from tests.flows.truths import ending, hear, paid


def test_a_refund_while_the_settle_call_is_unclear_is_told(each_town):
    payment_id = paid(each_town)
    each_town.koha.apply_late(400)
    hear(each_town)
    assert ending(each_town, payment_id)["state"] == "unknown"
    each_town.stripe.refund_in_dashboard(each_town.session_of(payment_id))
    each_town.world.pass_time(seconds=1)
    hear(each_town)
    assert ending(each_town, payment_id)["cases"] == ["reversed"]


def test_a_paid_payment_is_settled_while_the_provider_is_away(town):
    payment_id = paid(town)
    town.koha.lose_answer()
    hear(town)
    town.stripe.faults.lose_request(100)
    town.run_for(rounds=10, minutes=20)
    assert ending(town, payment_id)["state"] == "settled"


def test_a_refund_is_told_although_its_notice_was_spent_while_the_provider_was_away(town):
    payment_id = paid(town)
    town.koha.fail_next(1, status=503, operation="account.get")
    hear(town)
    assert ending(town, payment_id)["state"] == "paid"
    town.stripe.refund_in_dashboard(town.session_of(payment_id))
    town.world.pass_time(seconds=6)
    town.stripe.faults.lose_request(1)
    hear(town)
    assert ending(town, payment_id)["state"] == "settled"
    town.run_for(rounds=3, minutes=1)
    assert ending(town, payment_id)["cases"] == ["reversed"]
