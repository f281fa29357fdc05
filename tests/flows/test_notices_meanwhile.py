"""What happens meanwhile: notices during a settle call, a settle call during a reading."""

from __future__ import annotations

from ils_payment.flows import pay, see
from ils_payment.flows.views import NotBegun
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


def test_fees_that_are_settled_while_another_tab_reads_them_are_not_paid_again(each_town, monkeypatch):
    town = each_town
    lines = [line for line in see.fees(town.house, town.desk, town.erika).lines if line.payable]
    first = paid(town)
    read = town.desk.system.account

    def read_and_settle(patron):
        found = read(patron)
        monkeypatch.setattr(town.desk.system, "account", read)
        town.world.pass_time(seconds=1)
        hear(town)
        return found

    monkeypatch.setattr(town.desk.system, "account", read_and_settle)
    keys, cents = [line.key for line in lines], sum(line.cents for line in lines)
    second = pay.begin(town.house, town.desk, town.erika, keys, "card", "de", cents)
    assert ending(town, first)["state"] == "settled"
    assert second == NotBegun(code="changed")
