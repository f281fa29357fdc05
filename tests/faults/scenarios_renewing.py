"""Scenarios of renewed cards: the new expiry, its debit and its credit, and whoever comes in between."""

from __future__ import annotations

from datetime import date

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning
from ils_payment.flows import offer, pay
from ils_payment.flows.views import Begun, NotBegun
from tests.conftest import KOHA
from tests.faults.failpoints_clerks import approve, ask_refund, resolve
from tests.faults.failpoints_stage import CREDIT, Stage
from tests.faults.scenarios import scenario
from tests.faults.scenarios_settling import _until_the_quarantine_is_over
from tests.flows.truths import of

PUT = "patrons.put"
DEBIT = "debits.add"


def _sold(s: Stage, *, fees: bool = False, patron: str = "jan") -> None:
    """Let the library sell renewals, and a patron confirm one (with the fees) as the card's page shows."""
    s.sell_cards()
    begin_renewal(s, fees=fees, patron=patron)


def begin_renewal(s: Stage, *, fees: bool = False, patron: str = "jan") -> None:
    """Let a patron confirm a renewal (with the fees) as the card's page shows it, where one is offered."""

    def confirm() -> Begun | NotBegun:
        town, who = s.town, of(s.town, patron)
        quote = offer.card(town.house, town.desk, who).quote
        if quote is None:
            return NotBegun(code="not_renewable")
        lines = town.desk.account(who).fees if fees else ()
        cents = quote.cents + sum(line.cents for line in lines)
        keys = [line.claim_key for line in lines]
        method = "card" if cents else ""
        return pay.begin(town.house, town.desk, who, keys, method, "de", cents, until=quote.until)

    s.program(confirm)


def _renews_at_the_desk(s: Stage) -> None:
    s.koha.renew_account(s.koha.patron_ids["jan"])


@scenario("settled")
def card_renewed(s: Stage) -> None:
    """A card is paid for and renewed, its fee is charged and settled."""
    _sold(s)
    s.pay()
    s.hear()
    s.later(minutes=1)


@scenario("settled")
def card_and_fees(s: Stage) -> None:
    """Card and fees are paid in one go and get a credit each."""
    _sold(s, fees=True)
    s.pay()
    s.hear()
    s.later(minutes=1)


@scenario("settled")
def free_card(s: Stage) -> None:
    """A child's card is renewed for nothing: no provider, no debit, no credit."""
    s.koha.change(s.koha.patron_ids["jan"], category_id="KIND")
    _sold(s)
    s.hear()
    s.later(minutes=1)


@scenario("settled")
def expiry_written_answer_lost(s: Stage) -> None:
    """The new expiry is written, its answer never comes; the card is looked at again much later."""
    _sold(s)
    s.pay()
    s.koha.lose_answer(operation=PUT)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled")
def expiry_written_late(s: Stage) -> None:
    """The new expiry is written ten minutes after its time-out, when a second call has written it already."""
    _sold(s)
    s.pay()
    s.koha.apply_late(600, operation=PUT)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settling held")
def expiry_never_answered(s: Stage) -> None:
    """Koha answers to no new expiry: after the third call a person looks."""
    _sold(s)
    s.pay()
    s.koha.fail_next(20, status=0, operation=PUT)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("resolved")
def never_renewed_and_given_back(s: Stage) -> None:
    """Koha answers to no new expiry; two persons give the money back, after a look at the card."""
    _sold(s)
    s.pay()
    s.koha.fail_next(20, status=0, operation=PUT)
    s.hear()
    _until_the_quarantine_is_over(s)
    ask_refund(s, Meaning.FEE_DROPPED)
    approve(s)
    s.later(minutes=1)


@scenario("settling held")
def renewed_after_all(s: Stage) -> None:
    """A call comes later than anybody waits, just before its money goes back: a person decides anew."""
    _sold(s)
    s.pay()
    s.koha.fail_next(20, status=0, operation=PUT)
    s.hear()
    _until_the_quarantine_is_over(s)
    if not s.koha.truth()["requests"].get(PUT):
        # Nothing was ever sent, so nothing can come late.
        return
    jan = s.koha.patron_ids["jan"]
    ends = date.fromisoformat(str(s.koha.tables.patrons[jan].record["expiry_date"]))
    s.koha.tables.change_patron(
        jan, {"expiry_date": ends.replace(year=ends.year + 1).isoformat()}, by="api", at=s.world.now()
    )
    ask_refund(s, Meaning.FEE_DROPPED)
    approve(s)
    s.later(minutes=1)


@scenario("settled")
def right_to_change_patrons_is_missing(s: Stage) -> None:
    """The service user may not change patrons for some minutes: certainly not renewed, tried again."""
    _sold(s)
    s.pay()
    user = next(iter(s.koha.tables.clients.values())).patron_id
    rights = s.koha.tables.patrons[user].rights
    s.koha.set_rights(user, ("borrowers:edit_borrowers", "updatecharges:remaining_permissions"))
    s.hear()
    s.later(minutes=2)
    s.koha.set_rights(user, rights)
    s.later(minutes=10)


@scenario("settled")
def koha_away_at_the_new_expiry(s: Stage) -> None:
    """Koha goes away between reading the card and writing its expiry."""
    _sold(s)
    s.pay()
    s.at("koha.renew.before", lambda: s.leave(KOHA))
    s.hear()
    s.come_back()
    s.later(minutes=2)


@scenario("settled")
def worker_sleeps_before_the_new_expiry(s: Stage) -> None:
    """A worker sleeps longer than its lease just before the call; another one renews the card."""
    _sold(s)
    s.pay()
    s.at("renew.before_call", lambda: s.another_worker(125))
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("paid held")
def desk_renews_meanwhile(s: Stage) -> None:
    """The desk renews the card while it is paid online: a person decides."""
    _sold(s)
    _renews_at_the_desk(s)
    s.pay()
    s.hear()
    s.later(minutes=1)


@scenario("settled")
def extended_on_top_by_a_clerk(s: Stage) -> None:
    """The desk has renewed the card, too; a clerk lets it be extended from there."""
    desk_renews_meanwhile(s)
    resolve(s, Choice.SETTLE_AGAIN)
    s.hear()
    s.later(minutes=1)


@scenario("settled held")
def desk_renews_before_a_late_call(s: Stage) -> None:
    """A call that was never answered overwrites what the desk has done meanwhile: the last look finds it."""
    _sold(s)
    s.pay()
    s.koha.apply_late(600, operation=PUT)
    s.hear()
    s.later(minutes=1)
    s.later(minutes=1)
    _renews_at_the_desk(s)
    _until_the_quarantine_is_over(s)


@scenario("settled")
def debit_booked_answer_lost(s: Stage) -> None:
    """The card's debit is booked, its answer never comes: it is found by its marker."""
    _sold(s)
    s.pay()
    s.koha.lose_answer(operation=DEBIT)
    s.hear()
    s.later(minutes=2)
    _until_the_quarantine_is_over(s)


@scenario("settled")
def debit_not_booked(s: Stage) -> None:
    """Koha fails at the card's debit: after the quarantine it is written again."""
    _sold(s)
    s.pay()
    s.koha.fail_next(1, operation=DEBIT)
    s.hear()
    _until_the_quarantine_is_over(s)


@scenario("settled")
def debit_of_a_card_left_to_a_person(s: Stage) -> None:
    """Koha refuses the card's debit for long; a clerk mends that and lets it be settled again."""
    _sold(s)
    s.pay()
    s.koha.fail_next(50, status=403, operation=DEBIT)
    s.hear()
    for _ in range(8):
        s.later(minutes=20)
    s.koha.faults.failures.clear()
    resolve(s, Choice.SETTLE_AGAIN)
    s.hear()
    s.later(minutes=20)


@scenario("settled")
def credit_of_a_card_answer_lost(s: Stage) -> None:
    """The credit for the card's debit is booked, its answer never comes."""
    _sold(s)
    s.pay()
    s.koha.lose_answer(operation=CREDIT)
    s.hear()
    s.later(seconds=10)
