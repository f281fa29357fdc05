"""A ledger put back from a backup that is older than a refund: nothing is given back or charged twice."""

from __future__ import annotations

import pytest

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, show
from ils_payment.flows.verify import verify
from tests.flows.decisions import (
    CLERK,
    TREASURER,
    approved,
    books,
    case_of,
    kinds,
    only_refund,
    refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.renewing import RenewingTown
from tests.flows.restoring import Keeper
from tests.flows.truths import DUE, hear, load


@pytest.fixture
def keeper(town, tmp_path):
    return Keeper(town, tmp_path)


def test_a_part_that_was_given_back_before_is_not_given_back_again_when_the_key_is_forgotten(town, keeper):
    payment_id = settled_payment(town)
    line = show.line_ids(town.house, payment_id)[0]
    cents = load(town, payment_id).lines[0].cents
    assert cents * 2 <= DUE
    approved(town, payment_id, lines=(line,))
    keeper.keep()
    town.run()
    assert refunded(town) == cents
    town.world.pass_time(hours=30)
    keeper.put_back()
    keeper.compare()
    assert refunded(town) == cents
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": cents, "library_system": DUE - cents}


def test_a_counter_debit_that_was_made_before_is_not_made_again(town, keeper):
    payment_id = settled_payment(town)
    before = set(town.koha_account()["fees"])
    approved(town, payment_id, Meaning.FEE_STAYS)
    keeper.keep()
    town.run()
    keeper.put_back()
    keeper.compare()
    new = [one for line, one in town.koha_account()["fees"].items() if line not in before]
    assert [one["outstanding"] for one in new] == [DUE]
    assert only_refund(town, payment_id).charge_state == "done"


def test_a_forgotten_counter_debit_is_named_where_the_refund_has_come_back(town, keeper):
    payment_id = settled_payment(town)
    before = set(town.koha_account()["fees"])
    asked = refund(town, payment_id, Meaning.FEE_STAYS)
    keeper.keep()
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    [line] = set(town.koha_account()["fees"]) - before
    marker = town.koha.tables.lines[int(line)].note
    [ref] = town.stripe.truth()["refunds"]
    town.stripe.finish_refund(ref, success=False)
    town.deliver_webhooks()
    keeper.put_back()
    keeper.compare()
    decide.approve(town.house, TREASURER, str(asked.refund_id))
    hear(town)
    assert only_refund(town, payment_id).state == "failed"
    assert case_of(town, payment_id, "refund_failed").facts["marker"] == marker


def test_also_a_counter_debit_is_named_whose_refund_came_back_before_anybody_compared(town, keeper):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id, Meaning.FEE_STAYS)
    keeper.keep()
    before = set(town.koha_account()["fees"])
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    [line] = set(town.koha_account()["fees"]) - before
    [ref] = town.stripe.truth()["refunds"]
    keeper.put_back()
    town.stripe.finish_refund(ref, success=False)
    town.deliver_webhooks()
    keeper.compare()
    town.run()
    assert only_refund(town, payment_id).state == "failed"
    marker = town.koha.tables.lines[int(line)].note
    assert case_of(town, payment_id, "refund_failed").facts["marker"] == marker


@pytest.mark.parametrize(("back", "kind"), [(False, "reversed"), (True, "came_back")])
def test_the_counter_debit_of_a_refund_that_was_forgotten_whole_is_named(town, keeper, back, kind):
    payment_id = settled_payment(town)
    keeper.keep()
    before = set(town.koha_account()["fees"])
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    [line] = set(town.koha_account()["fees"]) - before
    if back:
        [ref] = town.stripe.truth()["refunds"]
        town.stripe.finish_refund(ref, success=False)
    keeper.put_back()
    keeper.compare()
    case = case_of(town, payment_id, kind)
    assert (case.cents, case.facts["marker"]) == (DUE, town.koha.tables.lines[int(line)].note)
    assert kinds(town, payment_id) == [kind], "once"
    assert books(town, payment_id) == {"provider": -DUE, ("library_system" if back else "returned"): DUE}
    assert verify(town.house).findings == []
    if back:
        assert resolve(town, case, Choice.NO_ACTION).ok


def test_a_refund_whose_approval_was_forgotten_is_taken_up_where_the_provider_has_it(town, keeper):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id)
    keeper.keep()
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    keeper.put_back()
    keeper.compare()
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "too late").code == "conflict"
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert refunded(town) == DUE


def test_a_refund_that_was_withdrawn_before_anybody_compared_is_booked_as_gone(town, keeper):
    payment_id = settled_payment(town)
    asked = refund(town, payment_id, who=CLERK)
    keeper.keep()
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run()
    keeper.put_back()
    assert decide.withdraw(town.house, TREASURER, str(asked.refund_id), "nobody remembers").code == "done"
    keeper.compare()
    assert sorted(one.state for one in show.refunds_of(town.house, payment_id)) == ["external", "withdrawn"]
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}
    assert [one.kind for one in show.case_list(town.house)] == ["reversed"]


def test_a_card_that_was_renewed_before_is_not_extended_once_more(tmp_path):
    town = RenewingTown(f"sqlite:///{tmp_path}/ledger.db")
    keeper = Keeper(town, tmp_path)
    payment_id = town.sold()
    keeper.keep()
    town.stripe.pay(town.session_of(payment_id))
    hear(town)
    assert town.expiry() == town.until.isoformat()
    town.world.pass_time(hours=30)
    keeper.put_back()
    town.with_tariff()
    keeper.compare()
    for kind in ("orphan_marker", "fees_differ"):
        assert resolve(town, case_of(town, payment_id, kind), Choice.SETTLE_AGAIN).ok
        town.run()
    assert town.expiry() == town.until.isoformat()
    assert town.koha_account("jan")["balance"] == 150
    town.close()
