"""Refunds and counter-debits when library system or provider answer what nobody expects."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.errors import RemoteAbsentError, RemoteUnavailableError
from ils_payment.flows import decide, pay
from ils_payment.flows.advance import advance
from ils_payment.flows.readback import MAX_UNCLEAR
from ils_payment.flows.views import NotBegun
from ils_payment.flows.work import SEND_WITHIN
from ils_payment.model import (
    Applied,
    Charge,
    NotApplied,
    Redirect,
    Refunded,
    RefundRefused,
    Reversal,
    ReversalState,
    Started,
    State,
    Unclear,
)
from ils_payment.store import orders, patrons, refunds
from ils_payment.store.tables import private_patrons
from tests.flows.decisions import (
    TREASURER,
    approved,
    books,
    case_of,
    kinds,
    only_refund,
    refunded,
    resolve,
    settled_payment,
)
from tests.flows.truths import DUE, hear, load, paid, trail


class Answers:
    """A remote of the town, some of whose answers a test has laid down; it counts the questions."""

    def __init__(self, real: Any, **answers: Any) -> None:
        self.real = real
        self.answers = answers
        self.asked: dict[str, list[Any]] = {name: [] for name in answers}

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            return getattr(self.real, name)

        def answer(*told: Any) -> Any:
            self.asked[name].append(told)
            found = self.answers[name]
            if isinstance(found, Exception):
                raise found
            return found

        return answer


def library_answers(town: Any, **answers: Any) -> Answers:
    asked = Answers(town.desk.system, **answers)
    put_in_place(town, asked)
    return asked


def put_in_place(town: Any, system: Any) -> None:
    town.desk = replace(town.desk, system=system)
    town.house.libraries["lindental"] = town.desk


def provider_answers(town: Any, **answers: Any) -> Answers:
    town.desk.providers["stripe"] = Answers(town.desk.providers["stripe"], **answers)
    return town.desk.providers["stripe"]


def by_hand(town: Any, payment_id: str) -> str:
    """Why the patron's new debt has to be written by hand; the money itself has gone back."""
    assert refunded(town) == DUE
    assert only_refund(town, payment_id).charge_state == "by_hand"
    case = case_of(town, payment_id)
    assert case.kind == "charge_by_hand"
    assert case.facts["cents"] == DUE
    return str(case.facts["reason"])


def test_a_counter_debit_over_another_amount_is_a_case(town):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=Applied(remote_ref="9", applied=DUE - 1, unapplied=0))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(hours=2, rounds=20)
    assert by_hand(town, payment_id) == "another amount was charged"
    ((order,),) = asked.asked["charge"]
    assert (order.cents, order.currency, order.settled_with) == (
        DUE,
        "EUR",
        load(town, payment_id).receipt_number,
    )
    with town.house.store.read() as unit:
        (sent,) = refunds.of_payment(unit, payment_id)
    assert sent.charge_tried_at is not None
    assert order.send_before == sent.charge_tried_at + SEND_WITHIN
    first_line = sent.parts[0][0]
    assert order.kind in [line.kind for line in load(town, payment_id).lines if line.id == first_line]


@pytest.mark.parametrize("cents", [[DUE - 1], [DUE, DUE]])
def test_a_counter_debit_that_is_not_there_exactly_once_is_a_case(town, cents):
    payment_id = settled_payment(town)
    there = [Charge(remote_ref=str(place), marker="x", cents=one) for place, one in enumerate(cents)]
    asked = library_answers(town, find_charges=there, charge=Unclear(reason="never called"))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert by_hand(town, payment_id) == "the debit is not there exactly once"
    assert asked.asked["charge"] == []


def test_a_counter_debit_that_a_restored_ledger_forgot_is_found_and_not_written_again(town):
    payment_id = settled_payment(town)
    asked = library_answers(
        town, find_charges=[Charge(remote_ref="77", marker="x", cents=DUE)], charge=Unclear(reason="never")
    )
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert only_refund(town, payment_id).charge_state == "done"
    assert asked.asked["charge"] == []
    assert "charged" in trail(town, payment_id)


def test_a_refused_counter_debit_is_a_case_with_the_reason(town):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=NotApplied(reason="the card is locked", permanent=True))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(hours=2, rounds=20)
    assert by_hand(town, payment_id) == "the card is locked"
    assert len(asked.asked["charge"]) == 1


@pytest.mark.parametrize("answer", [NotApplied(reason="not now"), Unclear(reason="no answer")])
def test_a_counter_debit_that_never_succeeds_is_tried_a_few_times_and_then_a_case(town, answer):
    payment_id = settled_payment(town)
    asked = library_answers(town, charge=answer)
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(days=4, rounds=120)
    assert by_hand(town, payment_id) in {"not now", "nothing proves that the debit is absent"}
    assert len(asked.asked["charge"]) == MAX_UNCLEAR


def test_a_patron_who_is_gone_cannot_be_charged(town):
    payment_id = settled_payment(town)
    library_answers(town, find_charges=RemoteAbsentError("There is no such patron."))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert by_hand(town, payment_id) == "There is no such patron."


def test_a_patron_who_was_erased_cannot_be_charged(town):
    payment_id = settled_payment(town)
    with town.house.store.unit() as unit:
        unit.connection.execute(update(private_patrons).values(patron_ref=None))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run()
    assert "erased" in by_hand(town, payment_id)


def test_an_unclear_payment_of_a_patron_who_is_gone_is_given_back_after_the_quarantine(town):
    payment_id = paid(town)
    town.koha.lose_answer()
    hear(town)
    library_answers(
        town,
        find_credits=RemoteAbsentError("There is no such patron."),
        find_charges=RemoteAbsentError("There is no such patron."),
    )
    town.run_for(minutes=1, rounds=2)
    case = case_of(town, payment_id)
    assert case.kind == "unclear"
    assert resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS).code == "too_early"
    town.run_for(hours=1, rounds=1)
    asked = resolve(town, case, Choice.REFUND, meaning=Meaning.FEE_STAYS)
    assert asked.code == "second_person"
    assert decide.approve(town.house, TREASURER, str(asked.refund_id)).code == "done"
    town.run_for(minutes=10, rounds=5)
    assert refunded(town) == DUE
    assert load(town, payment_id).state is State.RESOLVED


def test_while_the_library_system_cannot_be_asked_the_counter_debit_waits(town):
    payment_id = settled_payment(town)
    system = town.desk.system
    asked = library_answers(town, find_charges=RemoteUnavailableError("It is in maintenance."))
    approved(town, payment_id, Meaning.FEE_STAYS)
    town.run_for(hours=2, rounds=20)
    assert len(asked.asked["find_charges"]) > 1
    assert only_refund(town, payment_id).charge_state == "due"
    put_in_place(town, system)
    town.run_for(hours=6, rounds=20)
    assert only_refund(town, payment_id).charge_state == "done"
    assert kinds(town, payment_id) == []


def test_while_another_call_for_the_patron_runs_the_counter_debit_waits(town):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    patron = load(town, payment_id).patron_id
    asked = library_answers(town, charge=Unclear(reason="never called"))
    with town.house.store.unit() as unit:
        assert patrons.lease(unit, patron, "somebody", 60)
    town.run()
    assert refunded(town) == DUE
    assert asked.asked["charge"] == []
    assert only_refund(town, payment_id).charge_state == "due"


def test_a_provider_that_cannot_refund_leaves_a_case_and_undoes_the_reservation(town, monkeypatch):
    payment_id = settled_payment(town)
    before = books(town, payment_id)
    approved(town, payment_id)
    monkeypatch.setattr("ils_payment.flows.refund.Refunding", type("Nothing", (), {}))
    town.run()
    assert only_refund(town, payment_id).state == "failed"
    assert case_of(town, payment_id, "refund_failed").facts["reason"] == "the provider cannot give money back"
    assert books(town, payment_id) == before


def test_a_refund_that_the_provider_takes_and_cannot_send_is_undone(town):
    payment_id = settled_payment(town)
    before = books(town, payment_id)
    provider_answers(town, refund=Refunded(ref="re_1", state=ReversalState.FAILED))
    approved(town, payment_id)
    town.run()
    assert case_of(town, payment_id, "refund_failed").facts["found"] == "re_1"
    assert books(town, payment_id) == before


def test_a_refusal_counts_only_if_the_provider_has_no_refund_under_the_key(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    with town.house.store.read() as unit:
        (key,) = [one.key for one in refunds.of_payment(unit, payment_id)]
    lists = iter([[], [Reversal(ref="re_1", kind="refund", cents=DUE, key=key)]])
    provider = provider_answers(town, refund=RefundRefused(reason="already refunded"))
    provider.find_refunds = lambda _session: next(lists)  # type: ignore[attr-defined]  # in front of the real one
    town.run()
    assert only_refund(town, payment_id).state == "done"
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_a_refusal_for_now_is_tried_again_until_patience_ends(town):
    payment_id = settled_payment(town)
    before = books(town, payment_id)
    asked = provider_answers(town, refund=RefundRefused(reason="no balance", permanent=False))
    approved(town, payment_id)
    town.run_for(hours=3, rounds=20)
    assert only_refund(town, payment_id).state == "tried"
    assert len(asked.asked["refund"]) > 1
    with town.house.store.read() as unit:
        assert [one.tries for one in refunds.of_payment(unit, payment_id)] == [len(asked.asked["refund"])]
    town.run_for(days=60, rounds=60)
    assert only_refund(town, payment_id).state == "failed"
    assert case_of(town, payment_id, "refund_failed").facts["reason"] == "no balance"
    assert books(town, payment_id) == before


def test_a_refund_of_another_amount_than_asked_is_a_case_and_booked_as_what_it_is(town):
    payment_id = settled_payment(town)
    approved(town, payment_id, Meaning.FEE_STAYS)
    with town.house.store.read() as unit:
        (key,) = [one.key for one in refunds.of_payment(unit, payment_id)]
    provider_answers(town, find_refunds=[Reversal(ref="re_1", kind="refund", cents=DUE - 50, key=key)])
    town.run(rounds=3)
    assert "refund_failed" in kinds(town, payment_id)
    facts = case_of(town, payment_id, "refund_failed").facts
    assert facts["reason"] == "the provider gave back another amount"
    assert "marker" not in facts, "no restore has forgotten a counter-debit"


def test_an_external_refund_and_one_that_came_back_have_ended_when_they_were_seen(town):
    payment_id = settled_payment(town)
    (session,) = town.stripe.truth()["sessions"].values()
    town.stripe.refund_in_dashboard(session["id"], 300)
    hear(town)
    approved(town, payment_id)
    town.run()
    refs = [ref for ref, one in town.stripe.truth()["refunds"].items() if one["amount"] != 300]
    town.stripe.finish_refund(refs[0], success=False)
    town.world.pass_time(hours=1)
    hear(town)
    with town.house.store.read() as unit:
        external, ours = sorted(refunds.of_payment(unit, payment_id), key=lambda one: one.cents)
    assert (external.state, ours.state) == ("external", "failed")
    assert external.ended_at is not None
    assert ours.ended_at == town.world.now()


def test_an_order_that_is_held_no_longer_keeps_the_patrons_other_payments_waiting(town):
    payment_id = paid(town)
    library_answers(town, settle=Applied(remote_ref="9", applied=DUE - 1, unapplied=1))
    hear(town)
    assert kinds(town, payment_id) == ["read_back"]
    with town.house.store.read() as unit:
        assert [one.state for one in orders.of_payment(unit, payment_id)] == ["given_up"]
        assert orders.open_of_patron(unit, load(town, payment_id).patron_id) is None


def test_a_browser_is_sent_to_no_page_of_a_stranger(town):
    known = town.desk.providers["stripe"].capabilities()
    provider_answers(town, capabilities=replace(known, redirect_origins=frozenset({"https://other.example"})))
    refused = town.begin()
    assert isinstance(refused, NotBegun)
    assert refused.payment_id is not None
    assert town.view(refused.payment_id).continue_url is None


def test_a_page_of_a_stranger_that_is_found_later_is_offered_nowhere(town):
    known = town.desk.providers["stripe"].capabilities()
    session = Started(session_ref="cs_1", interaction=Redirect(url="https://evil.example/pay"))
    provider_answers(town, capabilities=known, start=Unclear(reason="lost"), find=session)
    unclear = town.begin()
    assert isinstance(unclear, NotBegun)
    town.run_for(minutes=1, rounds=4)
    assert town.view(str(unclear.payment_id)).state is State.OPEN
    assert town.view(str(unclear.payment_id)).continue_url is None


def test_a_payment_of_a_library_that_is_not_configured_any_more_waits(town):
    payment_id = town.started()
    town.house.make_due(payment_id)
    desk = town.house.libraries.pop("lindental")
    advance(town.house, payment_id)
    assert load(town, payment_id).due_at == town.world.now() + timedelta(hours=1)
    town.house.libraries["lindental"] = desk


def test_a_payment_of_a_provider_that_cannot_close_stays_open_when_it_is_cancelled(town):
    payment_id = town.started()
    known = town.desk.providers["stripe"].capabilities()
    asked = provider_answers(town, capabilities=replace(known, close=False), close=None)
    assert pay.cancel(town.house, payment_id).state == load(town, payment_id).state
    assert asked.asked["close"] == []


def test_a_payment_that_does_not_exist_cannot_be_cancelled(town):
    with pytest.raises(LookupError):
        pay.cancel(town.house, "nothing")


def test_where_refunds_cannot_be_looked_up_a_lost_one_is_repeated_only_while_its_key_is_kept(town):
    payment_id = settled_payment(town)
    can = replace(town.desk.providers["stripe"].capabilities(), finds_refunds=False)
    lost = provider_answers(town, capabilities=can, refund=Unclear(reason="no answer"))
    approved(town, payment_id)
    town.run_for(hours=20, rounds=10)
    kept = len(lost.asked["refund"])
    assert kept > 1
    town.world.pass_time(hours=5)
    forgotten = len(lost.asked["refund"])
    town.run_for(days=2, rounds=10)
    assert len(lost.asked["refund"]) == forgotten, "the provider has forgotten the key by now"
    assert only_refund(town, payment_id).state == "tried"


def test_money_that_the_bank_took_twice_is_not_with_us_when_one_refund_comes_back(town):
    payment_id = settled_payment(town)
    approved(town, payment_id)
    town.run()
    seen = town.desk.providers["stripe"].read(town.session_of(payment_id))
    twice = Reversal(ref="dp_1", kind="chargeback", cents=DUE)
    provider = provider_answers(town, read=replace(seen, reversals=(*seen.reversals, twice)))
    town.house.make_due(payment_id)
    town.run()
    assert case_of(town, payment_id, "chargeback").facts["beyond"] == DUE
    failed = tuple(replace(one, state=ReversalState.FAILED) for one in seen.reversals)
    provider.answers["read"] = replace(seen, reversals=(*failed, twice))
    town.house.make_due(payment_id)
    town.run()
    assert books(town, payment_id) == {"provider": -DUE, "returned": DUE}


def test_a_pending_refund_that_turns_out_as_another_amount_stands_in_the_books_as_what_it_is(town):
    payment_id = settled_payment(town)
    read = town.desk.providers["stripe"].read(town.session_of(payment_id))
    pending = Refunded(ref="re_1", state=ReversalState.PENDING)
    provider = provider_answers(town, refund=pending, find_refunds=[], read=read)
    approved(town, payment_id)
    town.run()
    assert only_refund(town, payment_id).state == "pending"
    other = Reversal(ref="re_1", kind="refund", cents=DUE - 100, key="")
    provider.answers["find_refunds"] = [other]
    provider.answers["read"] = replace(read, reversals=(other,))
    town.run_for(hours=3, rounds=20)
    town.house.make_due(payment_id)
    town.run()
    assert books(town, payment_id)["returned"] == DUE - 100
    assert sorted(kinds(town, payment_id)) == ["refund_failed", "reversed"]
