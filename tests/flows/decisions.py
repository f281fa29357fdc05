"""What the tests of decisions share: two persons, their words, and what is true afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from ils_payment_koha.adapter import KohaSystem

from ils_payment.domain.decisions import Choice
from ils_payment.domain.ledger import balances
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import decide, observe, show
from ils_payment.flows.decision import Decided, Decision
from ils_payment.flows.views import CaseView, RefundView
from ils_payment.model import Actor, Observation, PayState
from ils_payment.store import chain
from tests.conftest import Town
from tests.flows.truths import hear, load, paid

CLERK = Actor("clerk-1", "clerk")
TREASURER = Actor("treasurer-1", "treasurer")


def settled_payment(town: Town, **options: Any) -> str:
    payment_id = paid(town, **options)
    hear(town)
    assert str(town.view(payment_id).state) == "settled"
    return payment_id


def held_payment(town: Town, **options: Any) -> str:
    """A payment whose fee was paid at the desk while the payer paid: a case, nothing settled."""
    payment_id = paid(town, only=1, **options)
    (line,) = load(town, payment_id).lines
    town.koha.pay_at_desk(town.koha.patron_ids["erika"], int(str(line.fee_ref)), line.cents)
    hear(town)
    assert kinds(town, payment_id) == ["fees_differ"]
    return payment_id


def took(town: Town, payment_id: str, cents: int) -> None:
    """The provider says at a late look that it took so many cents for a payment."""
    payment = load(town, payment_id)
    seen = Observation(
        state=PayState.PAID,
        captured=cents,
        currency=payment.currency,
        account="",
        live=payment.live,
        reference=payment.id,
        final=False,
        evidence="PSPFIRST, PSPSECOND",
    )
    observe.learn(town.house, town.desk, payment, seen)


def kinds(town: Town, payment_id: str | None) -> list[str]:
    return [one.kind for one in show.case_list(town.house) if one.payment_id == payment_id]


def case_of(town: Town, payment_id: str | None, kind: str | None = None) -> CaseView:
    found = [one for one in show.case_list(town.house) if one.payment_id == payment_id]
    return next(one for one in found if kind in {None, one.kind})


def books(town: Town, payment_id: str) -> dict[str, int]:
    with town.house.store.read() as unit:
        assert chain.broken_at(unit, payment_id) is None
        sums = Counter[str]()
        for (book, _), cents in balances(chain.read_postings(unit, payment_id)).items():
            sums[str(book)] += cents
    return {name: cents for name, cents in sums.items() if cents}


def refund(
    town: Town,
    payment_id: str,
    meaning: Meaning = Meaning.FEE_DROPPED,
    *,
    lines: Any = None,
    who: Actor = CLERK,
) -> Decided:
    decision = Decision(choice=Choice.REFUND, reason="asked at the desk", meaning=meaning, lines=lines)
    return decide.refund(town.house, who, payment_id, decision)


def approved(
    town: Town, payment_id: str, meaning: Meaning = Meaning.FEE_DROPPED, *, lines: Any = None
) -> str:
    """A refund that two persons want; it has not been sent."""
    asked = refund(town, payment_id, meaning, lines=lines)
    assert asked.code == "second_person"
    assert asked.refund_id
    assert decide.approve(town.house, TREASURER, asked.refund_id).code == "done"
    return asked.refund_id


def resolve(town: Town, case: CaseView, choice: Choice, **more: Any) -> Decided:
    decision = Decision(choice=choice, reason="looked at both sides", **more)
    return decide.resolve(town.house, CLERK, case.case_id, case.version, decision)


def cannot_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library system declare that it charges no debits."""
    can = KohaSystem.capabilities
    monkeypatch.setattr(KohaSystem, "capabilities", lambda system: replace(can(system), can_charge=False))


def only_refund(town: Town, payment_id: str) -> RefundView:
    (found,) = show.refunds_of(town.house, payment_id)
    return found


def refunded(town: Town) -> int:
    """The cents that the simulated Stripe gave back."""
    return sum(
        one["amount"] for one in town.stripe.truth()["refunds"].values() if one["status"] == "succeeded"
    )
