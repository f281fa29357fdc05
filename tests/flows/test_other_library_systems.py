"""Library systems that can do less than Koha: no readable markers, no list of credits, a line at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ils_payment_stripe.provider import StripeProvider

from ils_payment.domain.decisions import Choice
from ils_payment.errors import ConfigurationError, PluginError, RemoteAbsentError, RemoteUnavailableError
from ils_payment.flows import see
from ils_payment.flows.house import open_house
from ils_payment.model import MarkerSupport, ReadSupport, State
from ils_payment.store import orders
from tests.conftest import Town
from tests.flows.decisions import case_of, kinds, resolve
from tests.flows.test_refunds_odd_answers import Answers, library_answers
from tests.flows.test_renewals_rare_ways import credit_in_question
from tests.flows.truths import DUE, ending, hear, load, of, paid, pay_calls, settled

CREDIT = "credits.add"


def can(town: Any, **less: Any) -> Answers:
    """The library system has these capabilities only."""
    return library_answers(town, capabilities=replace(town.desk.system.capabilities(), **less))


def confirmed_marker_of(town: Any, patron: str) -> str:
    other = paid(town, patron=of(town, patron))
    hear(town)
    assert town.view(other).state is State.SETTLED
    return load(town, other).receipt_number


@pytest.mark.parametrize("less", [{"marker": MarkerSupport.WRITE_ONLY}, {"unattended_read": False}])
def test_where_markers_cannot_be_read_an_unclear_call_is_never_repeated(town, less):
    can(town, **less)
    payment_id = paid(town)
    town.koha.fail_next(1, operation=CREDIT)
    hear(town)
    town.run_for(hours=2, rounds=30)
    assert case_of(town, payment_id, "unclear").facts["reason"] == "the marker cannot be read back"
    assert pay_calls(town) == 1
    # The clerk has looked into the account: nothing is there.
    town.world.pass_time(hours=1)
    assert resolve(town, case_of(town, payment_id), Choice.SETTLE_AGAIN).code == "done"
    town.run()
    assert town.view(payment_id).state is State.SETTLED
    assert [(one["amount"], one["unapplied"]) for one in town.credits()] == [(DUE, 0)]


def test_where_credits_cannot_be_listed_the_account_alone_proves_what_was_settled(town):
    asked = can(town, credit_list=False)
    asked.answers["recent_credits"], asked.asked["recent_credits"] = [], []
    payment_id = paid(town)
    hear(town)
    assert ending(town, payment_id) == settled()
    assert asked.asked["recent_credits"] == []


def test_where_credits_cannot_be_listed_an_account_that_does_not_fit_is_a_case_all_the_same(town):
    asked = can(town, credit_list=False)

    def settles_nothing(order: Any) -> Any:
        from ils_payment.model import Applied

        return Applied(remote_ref="9", applied=order.cents, unapplied=0)

    asked.settle = settles_nothing  # type: ignore[attr-defined]  # in front of the real one
    payment_id = paid(town)
    hear(town)
    assert kinds(town, payment_id) == ["read_back"]


def test_where_one_call_takes_one_line_the_payment_is_settled_with_its_last_one(town):
    can(town, batch=False)
    payment_id = paid(town)
    told: list[Any] = []
    town.world.on_failpoint = lambda name: (
        told.append(town.view(payment_id).state) if name == "settle.applied" else None
    )
    hear(town)
    with town.house.store.read() as unit:
        ordered = orders.of_payment(unit, payment_id)
    assert [one.cents for one in ordered] == [line.cents for line in load(town, payment_id).lines]
    assert len({one.marker for one in ordered}) == len(ordered) == 4
    assert told[-1] is State.SETTLED
    assert State.SETTLED not in told[:-1]
    assert ending(town, payment_id) == {**settled(), "credits": [(one.cents, 0) for one in ordered]}


def test_where_one_call_takes_one_line_a_line_that_was_called_booked_does_not_stop_the_others(town):
    can(town, batch=False)
    payment_id = paid(town)
    credit_in_question(town, payment_id)
    town.world.pass_time(minutes=5)
    assert resolve(town, case_of(town, payment_id), Choice.BOOKED_BY_HAND, reference="Kasse 7").ok
    town.run()
    end = ending(town, payment_id)
    assert (end["state"], end["cases"], len(end["credits"])) == ("settled", [], 4)


def test_a_confirmed_marker_of_a_patron_who_is_gone_proves_nothing(town):
    marker = confirmed_marker_of(town, "jan")
    asked = library_answers(town)

    def find(patron: Any, wanted: str) -> Any:
        if wanted == marker:
            raise RemoteAbsentError("There is no such patron.")
        return asked.real.find_credits(patron, wanted)

    asked.find_credits = find  # type: ignore[attr-defined]  # in front of the real one
    payment_id = paid(town)
    town.koha.fail_next(1, operation=CREDIT)
    hear(town)
    town.run_for(hours=2, rounds=30)
    reason = case_of(town, payment_id, "unclear").facts["reason"]
    assert reason == "nothing proves that an absent marker would be seen"


def test_a_marker_that_is_there_beside_a_foreign_credit_is_a_case(town):
    """The answer was lost, and before anybody looked, the desk took money for the same patron."""
    payment_id = paid(town)
    town.koha.lose_answer()
    hear(town)
    assert town.view(payment_id).state is State.UNKNOWN
    patron = town.koha.patron_ids["erika"]
    fee = town.koha.add_fee(patron, 300)
    town.koha.pay_at_desk(patron, fee, 300)
    town.run_for(hours=1, rounds=20)
    case = case_of(town, payment_id, "read_back")
    (credit,) = [one for one in town.credits() if one["marker"] == load(town, payment_id).receipt_number]
    assert case.facts["credit"]
    assert credit["amount"] == DUE


@pytest.mark.parametrize("lost", [False, True])
def test_a_fee_that_was_paid_at_the_desk_before_a_copy_of_the_account_was_read_is_a_case(town, lost):
    """A database that lags behind shows the fee as open, and our credit goes to another fee."""
    payment_id = paid(town, only=1)
    patron = town.koha.patron_ids["erika"]
    asked = library_answers(town)
    copies = [town.desk.system.real.account(town.erika)]
    town.koha.pay_at_desk(patron, 2, 450)
    town.world.pass_time(seconds=10)
    now = town.world.now

    def account(ref: Any) -> Any:
        return replace(copies.pop(), read_at=now()) if copies else asked.real.account(ref)

    asked.account = account  # type: ignore[attr-defined]  # in front of the real one
    if lost:
        town.koha.lose_answer()
    hear(town)
    town.run_for(hours=1, rounds=20)
    case = case_of(town, payment_id, "read_back")
    assert case.facts["wrong"] == "less is owed than the credits explain"


def test_fees_are_shown_without_titles_while_these_cannot_be_had(town):
    wanted = see.fees(town.house, town.desk, town.erika)
    assert any(line.title for line in wanted.lines)
    library_answers(town, titles=RemoteUnavailableError("The catalogue is away."))
    shown = see.fees(town.house, town.desk, town.erika)
    assert [line.title for line in shown.lines] == [None] * len(wanted.lines)
    assert [(one.key, one.cents, one.payable) for one in shown.lines] == [
        (one.key, one.cents, one.payable) for one in wanted.lines
    ]


# --- what is refused at the start ----------------------------------------------------------------


def test_a_provider_that_cannot_be_read_at_any_time_is_refused_at_the_start(town, monkeypatch):
    less = replace(town.desk.providers["stripe"].capabilities(), read=ReadSupport.NONE)
    monkeypatch.setattr(StripeProvider, "capabilities", lambda _self: less)
    with pytest.raises(PluginError, match=r"providers\.stripe: this provider cannot be read at any time"):
        open_house(town.settings, town.world)


def test_a_plugin_that_declares_what_it_has_not_is_refused_at_the_start(town, monkeypatch):
    more = replace(town.desk.providers["stripe"].capabilities(), payouts=True)
    monkeypatch.setattr(StripeProvider, "capabilities", lambda _self: more)
    monkeypatch.delattr(StripeProvider, "payouts")
    with pytest.raises(PluginError, match="the plugin declares what it has not: PayingOut"):
        open_house(town.settings, town.world)


def test_a_method_that_the_provider_does_not_offer_is_refused_at_the_start(tmp_path):
    method = {"method": "cowrie_shells", "provider": "stripe"}
    with pytest.raises(ConfigurationError, match="does not offer the method 'cowrie_shells'") as refused:
        Town(f"sqlite:///{tmp_path}/ledger.db", methods=[method])
    assert "It offers: card" in refused.value.mend


def test_what_is_booked_of_a_payment_that_goes_on_counts_no_more_for_what_else_can_be_paid(town):
    can(town, batch=False)
    payment_id = paid(town)
    calls = []

    def die_at_the_second(name: str) -> None:
        if name == "settle.applied":
            calls.append(name)
            town.koha.database_down(down=len(calls) > 1)

    town.world.on_failpoint = die_at_the_second
    hear(town)
    town.world.on_failpoint = lambda _name: None
    town.koha.database_down(down=False)
    waits = ending(town, payment_id)["books"]["to_settle"]
    assert 0 < waits < DUE
    town.koha.add_fee(town.koha.patron_ids["erika"], 300)
    account = town.desk.account(town.erika)
    assert see.fees(town.house, town.desk, town.erika).limit_cents == account.balance - waits
