"""Defects in renewing cards: before, around and after the new expiry, its debit and its credit."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

from ils_payment_koha import renewing
from ils_payment_koha.adapter import KohaSystem

from ils_payment.domain.renewing import CARD, Found
from ils_payment.domain.states import PAID_UNSETTLED
from ils_payment.flows import advance, charge, refund, renew, settle
from ils_payment.model import Card, ChargeOrder, NotApplied, RenewOrder, State, Unclear
from ils_payment.store import claims, renewals
from tests.faults.planted.registry import defect, instead

SOLD = ("card_sold",)
UNANSWERED = ("card_lost_applied", "card_applied_late", "card_error_after", "card_answer_garbled")
DESK = ("card_desk_renews", "card_desk_types")
DEBIT = ("card_debit_lost", "card_debit_late", "card_debit_error")


@defect(*SOLD)
def card_renewed_before_it_is_paid(patch):
    """A card is renewed while its session is still open."""
    states = frozenset({*PAID_UNSETTLED, State.OPEN})
    patch.setattr(advance, "PAID_UNSETTLED", states)
    patch.setattr(settle, "PAID_UNSETTLED", states)


@defect(*DESK)
def card_not_read_first(patch):
    """Whatever somebody else has made of a card, it counts as it was sold."""

    def judge(original, self, card):
        found = original(self, card)
        return Found.STANDS if found is Found.ELSEWHERE else found

    original = renew.RenewalInWork.judge
    patch.setattr(renew.RenewalInWork, "judge", lambda self, card: judge(original, self, card))


def _blindly(original, patron, order):
    """Let the card say what the order was sold on."""
    said = patron.get("expiry_date") if isinstance(patron, dict) else None
    return original(patron, replace(order, base=date.fromisoformat(said)) if said else order)


@defect(*DESK)
def card_not_compared_by_the_adapter(patch):
    """What the card says just before the new expiry is not compared with what was sold."""
    instead(patch, renewing, "patron_text", _blindly)


@defect(*DESK)
def card_written_blindly(patch):
    """Neither the program nor its adapter looks at the card before it writes the expiry."""
    card_not_read_first(patch)
    instead(patch, renewing, "patron_text", _blindly)


@defect("card_desk_renews")
def card_not_read_back(patch):
    """A card counts as renewed because Koha said 200."""

    def read_back(_original, work):
        renew._renewed(work, Card(number=None, valid_until=work.renewal.until))

    instead(patch, renew, "_read_back", read_back)


@defect("card_desk_renews")
def desk_renewal_not_told_apart(patch):
    """That the desk has renewed a card itself is not seen by its day of renewal."""

    def judge(original, sold, card, **more):
        return original(replace(sold, renewed_on=card.renewed_on), card, **more)

    instead(patch, renew, "judge", judge)


@defect(*SOLD)
def expiry_from_the_day_of_the_call(patch):
    """A card is renewed for a year from the day of the call, not until the day that was sold."""

    def order(**facts):
        return RenewOrder(**{**facts, "until": facts["send_before"].date() + timedelta(days=365)})

    patch.setattr(renew, "RenewOrder", order)


@defect("card_two_tabs", "card_by_another")
def card_claim_not_taken(patch):
    """Two payments may be open for the same card."""

    def take(original, unit, payment_id, patron, keys):
        rest = [key for key in keys if key != CARD]
        return original(unit, payment_id, patron, rest) if rest else None

    instead(patch, claims, "take", take)


@defect(*DEBIT)
def card_debit_not_looked_for(patch):
    """A card's debit is written again without a look for the one that was written before."""
    patch.setattr(KohaSystem, "find_charges", lambda *_args: ())


@defect("card_debit_late")
def card_debit_not_waited_for(patch):
    """A card's debit is written again at once when it is not to be seen."""
    patch.setattr(charge, "quarantine", lambda _desk: timedelta(0))


@defect(*SOLD)
def card_debit_of_another_amount(patch):
    """A card's debit is a cent more than was paid."""
    patch.setattr(
        charge, "ChargeOrder", lambda **facts: ChargeOrder(**{**facts, "cents": facts["cents"] + 1})
    )


@defect(*UNANSWERED, "card_lost_not_applied", "kill_after_call")
def unanswered_card_call_forgotten(patch):
    """A call without an answer counts as one that did nothing and can do nothing any more."""

    def record(original, work, outcome):
        return original(work, NotApplied(reason="?") if isinstance(outcome, Unclear) else outcome)

    instead(patch, renew, "_record", record)


@defect("card_lost_not_applied")
def card_called_for_ever(patch):
    """A new expiry without any answer is sent more often than three times."""
    patch.setattr(renew, "MAX_UNCLEAR", 1_000)


@defect(*UNANSWERED, "card_lost_not_applied", "kill_after_call")
def last_look_left_out(patch):
    """A renewed card is not looked at again when no call can come late any more."""
    patch.setattr(advance, "last_look", lambda *_args: None)


@defect(*SOLD)
def whole_record_goes_with_the_expiry(patch):
    """The whole record of the patron is written back with the new expiry."""

    def text(original, patron, order):
        made = original(patron, order)
        return made if isinstance(made, NotApplied) else json.dumps(patron | json.loads(made))

    instead(patch, renewing, "patron_text", text)


@defect(*SOLD)
def card_settled_before_its_debit(patch):
    """The credit for a card is written before its debit is there."""

    def orders_of(original, unit, desk, payment):
        def of_payment(one, known):
            found = renewals.of_payment(one, known)
            return replace(found, charge_state="done") if found else None

        with patch.context() as inner:
            inner.setattr(settle, "renewals", SimpleNamespace(of_payment=of_payment))
            return original(unit, desk, payment)

    instead(patch, settle, "_orders", orders_of)


@defect(*SOLD)
def settled_without_renewing(patch):
    """What a card costs is booked, and the card is left as it was."""
    instead(patch, renew, "_renew", lambda _original, _work: None)


@defect(*UNANSWERED, "card_lost_not_applied", "kill_after_call")
def card_not_looked_at_before_a_refund(patch):
    """The money of a card goes back without a look whether it was renewed after all."""
    patch.setattr(refund, "came_late", lambda *_args: None)


@defect(*DESK)
def always_extended_on_top(patch):
    """A card that the desk has renewed meanwhile is extended on top of that, and nobody is asked."""

    def hold(original, work, case, facts):
        if case != "renewed_elsewhere":
            return original(work, case, facts)
        card = work.desk.system.card(work.patron)
        if renew._sell_on_top(work, card) is Found.ELSEWHERE:
            return original(work, case, facts)
        return None

    instead(patch, renew, "_hold", hold)
