"""What a patron reads about payments and problems: every state, every refusal, in plain words.

Written for a tired person late in the evening: first what happened, then where the money is,
then what to do. The tables hold the English texts; the catalogues in ``locale/`` the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment.model import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.flows.views import PaymentView
    from ils_payment.web.language import Tongue

USUAL_BOOKING_TIME = timedelta(minutes=1)
"""A payment that is paid for longer than this is told so: booking it takes longer than usual."""

MONEY_IS_HERE = frozenset({State.PAID, State.SETTLING, State.UNKNOWN, State.SETTLED})


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools know a text that is translated later
    """Mark *text* for translation."""
    return text


class Tone(StrEnum):
    """How a text is meant; pages show it by sign and words, never by colour alone."""

    GOOD = "good"
    WAIT = "wait"
    CALM = "calm"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Words:
    """A heading and what stands below it; ``way`` names the way on that the page offers."""

    title: str
    text: tuple[str, ...]
    tone: Tone = Tone.CALM
    way: str = ""

    def said(self, tongue: Tongue, **facts: str) -> Words:
        """Return the words in the reader's language, with the facts filled in."""
        say = tongue.gettext
        return replace(
            self, title=say(self.title) % facts, text=tuple(say(line) % facts for line in self.text)
        )


STATES: Mapping[str, Words] = {
    "created": Words(
        N_("Your payment is being prepared"),
        (N_("This takes a few seconds. This page updates by itself. Nothing has been charged so far."),),
        Tone.WAIT,
    ),
    "open": Words(
        N_("This payment is not finished yet"),
        (
            N_("As far as we know, nothing has been charged."),
            N_("If you have just paid, please wait a moment: this page updates by itself."),
        ),
        Tone.WAIT,
    ),
    "pending": Words(
        N_("Your bank has not confirmed yet"),
        (
            N_("You have sent off the payment of %(sum)s. Please do not pay again."),
            N_(
                "Most banks confirm within minutes, some take a few working days. You need not wait here:"
                " as soon as the bank confirms, we book the payment by ourselves."
            ),
        ),
        Tone.WAIT,
    ),
    "paid": Words(
        N_("We have your payment"),
        (N_("We are booking it now; this usually takes a few seconds. Please do not pay again."),),
        Tone.WAIT,
    ),
    "longer": Words(
        N_("We have your payment"),
        (
            N_("Booking it takes a little longer. Please do not pay again."),
            N_("You need not wait here: we go on by ourselves until it is booked."),
        ),
        Tone.WAIT,
    ),
    "settled": Words(
        N_("Paid and booked"),
        (N_("Thank you. We have received %(sum)s, and the fees are settled in your library account."),),
        Tone.GOOD,
    ),
    "resolved": Words(
        N_("Your library has closed this payment"),
        (
            N_("The staff have dealt with this payment by hand: it was booked or paid back."),
            N_("If anything is unclear, please contact your library and mention the number."),
        ),
        Tone.GOOD,
    ),
    "void": Words(
        N_("This payment was not made"),
        (N_("Nothing was charged. The fees are still open; you can start again whenever you like."),),
    ),
    "void_cancelled": Words(
        N_("Payment cancelled"),
        (N_("Nothing was charged. The fees are still open; you can start again whenever you like."),),
    ),
    "void_expired": Words(
        N_("This payment was not completed"),
        (
            N_("The time for it ran out, or the bank did not agree. Nothing was charged."),
            N_("The fees are still open; you can start again whenever you like."),
        ),
    ),
    "held_paid": Words(
        N_("We have your payment; the staff are looking at it"),
        (
            N_("Booking it needs a person. Your library has been told. Please do not pay again."),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
    ),
    "held_settled": Words(
        N_("Paid and booked; the staff are looking at it once more"),
        (
            N_(
                "We have received %(sum)s and booked it. There is a question that your library is"
                " clearing up."
            ),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
    ),
    "held_resolved": Words(
        N_("The staff are looking at this payment once more"),
        (
            N_("Your library had closed this payment; now there is a question that it is clearing up."),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
    ),
    "held": Words(
        N_("The staff are looking at this payment"),
        (
            N_(
                "Something about it is unclear. Please do not pay these fees again until your library"
                " knows more."
            ),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
    ),
}

BRIEF: Mapping[str, str] = {
    "created": N_("Not finished"),
    "open": N_("Not finished"),
    "pending": N_("The bank confirms"),
    "void": N_("Not paid"),
    "paid": N_("Received, being booked"),
    "settling": N_("Received, being booked"),
    "unknown": N_("Received, being booked"),
    "settled": N_("Paid and booked"),
    "resolved": N_("Closed by the library"),
    "held": N_("The staff are looking at it"),
}
"""A payment in a list, by state, or ``held``."""

TEST_NOTE = N_("This is a test: no money moves.")

METHODS: Mapping[str, str] = {
    "card": N_("Credit or debit card"),
    "instant_bank_transfer": N_("Directly from your bank account (online banking)"),
}

_AGAIN = "again"
_FEES = "fees"
_START = "start"
_PAYMENT = "payment"

MESSAGES: Mapping[str, Words] = {
    "not_found": Words(
        N_("This page does not exist"),
        (N_("Perhaps the address is incomplete, or the page belongs to somebody else."),),
        way=_START,
    ),
    "forbidden": Words(
        N_("That did not work"),
        (
            N_("The form was open for too long, or came from another page. Nothing was changed or charged."),
            N_("Please go back to your fees and try once more."),
        ),
        way=_FEES,
    ),
    "bad_request": Words(
        N_("That did not work"),
        (N_("Something in the request was incomplete. Nothing was changed or charged."),),
        way=_FEES,
    ),
    "failed": Words(
        N_("Something went wrong on our side"),
        (
            N_("We are sorry. Please try again in a few minutes."),
            N_(
                "If you were paying: please do not pay again before you have looked at your payments here."
                " No payment gets lost."
            ),
        ),
        Tone.LOOK,
        way=_START,
    ),
    "unavailable": Words(
        N_("The library system does not answer at the moment"),
        (
            N_("That is why we cannot show your fees. Nothing was charged."),
            N_("Please try again in a few minutes."),
        ),
        Tone.LOOK,
        way=_AGAIN,
    ),
    "too_many": Words(
        N_("Too many attempts"),
        (N_("For your protection there is a short break now. Please try again in an hour."),),
        Tone.LOOK,
    ),
    "token_refused": Words(
        N_("This link does not work"),
        (
            N_("Please go back to the library catalogue and choose the payment of your fees there again."),
            N_("Nothing was charged."),
        ),
        way=_START,
    ),
    "token_expired": Words(
        N_("This link has run out"),
        (
            N_("For your protection, links from the catalogue are good for a short time only."),
            N_("Please go back to the library catalogue and choose the payment of your fees there again."),
        ),
        way=_START,
    ),
    "token_used": Words(
        N_("This link was used already"),
        (
            N_("For your protection, each link from the catalogue works only once."),
            N_("Please go back to the library catalogue and choose the payment of your fees there again."),
        ),
        way=_START,
    ),
    "ended": Words(
        N_("You have been signed out"),
        (
            N_("Nothing happened here for a while, so we signed you out for your protection."),
            N_("A payment that you have made is safe: it is booked even when you are signed out."),
        ),
        way=_START,
    ),
    "logged_out": Words(
        N_("You are signed out"),
        (
            N_(
                "Nobody can see your fees here any more. On a public computer, please also close the browser."
            ),
            N_("A payment that you have made is safe: it is booked even when you are signed out."),
        ),
        Tone.GOOD,
        way=_START,
    ),
    "mail_queued": Words(
        N_("The receipt is on its way"),
        (N_("We delete the mail address as soon as the receipt has been sent."),),
        Tone.GOOD,
        way=_PAYMENT,
    ),
    "mail_refused": Words(
        N_("The receipt was asked for by e-mail before"),
        (N_("We send it once only. You can print it here at any time."),),
        way=_PAYMENT,
    ),
    "return_refused": Words(
        N_("This link has run out"),
        (
            N_("Without signing in, it shows the payment for one day only."),
            N_("Please sign in to see your payments. No payment gets lost."),
        ),
        way=_START,
    ),
    "not_cancelled": Words(
        N_("The payment could not be cancelled just now"),
        (
            N_("The payment service does not answer, so nothing has changed."),
            N_("Please try again in a few minutes, or continue the payment."),
        ),
        Tone.LOOK,
        way=_PAYMENT,
    ),
    # Why no payment was started: one for each code of ``flows.views.NOT_BEGUN``.
    "nothing_chosen": Words(
        N_("Please choose at least one fee"),
        (N_("Tick the fees that you want to pay."),),
        way=_FEES,
    ),
    "changed": Words(
        N_("Your fees have changed meanwhile"),
        (N_("Nothing was charged. Please look at your fees again before you pay."),),
        way=_FEES,
    ),
    "not_payable": Words(
        N_("One of these fees cannot be paid online any more"),
        (N_("Nothing was charged. Your fees show which one it is, and why."),),
        way=_FEES,
    ),
    "above_balance": Words(
        N_("You have chosen more than you owe"),
        (
            N_(
                "There is a credit in your library account. Please choose fewer fees, or ask the staff"
                " to set off the credit."
            ),
            N_("Nothing was charged."),
        ),
        way=_FEES,
    ),
    "below_minimum": Words(
        N_("The sum is too small for this way to pay"),
        (N_("Nothing was charged. Please choose more fees or another way to pay, or pay at the desk."),),
        way=_FEES,
    ),
    "unknown_method": Words(
        N_("Please choose how you want to pay"),
        (N_("This way to pay is not offered here. Nothing was charged."),),
        way=_FEES,
    ),
    "already_running": Words(
        N_("A payment for these fees is running already"),
        (
            N_(
                "So that you do not pay twice, we have not started another one. You can continue or"
                " cancel the first."
            ),
        ),
        way=_PAYMENT,
    ),
    "paused": Words(
        N_("Online payment is having a break"),
        (
            N_(
                "Your library accepts no new payments at the moment. Payments that were made are booked"
                " as usual."
            ),
            N_("Please try again later, or pay at the desk."),
        ),
        way=_FEES,
    ),
    "test_mode": Words(
        N_("Online payment is being tried out"),
        (
            N_(
                "At the moment only test cards can pay here. Nothing was charged. Please pay at the desk"
                " for now."
            ),
        ),
        way=_FEES,
    ),
    "provider_refused": Words(
        N_("The payment service did not accept the payment"),
        (N_("Nothing was charged. Please try another way to pay, or pay at the desk."),),
        Tone.LOOK,
        way=_FEES,
    ),
    "provider_unavailable": Words(
        N_("The payment service does not answer at the moment"),
        (
            N_(
                "Nothing has been charged so far. We go on trying to find out whether the payment was opened."
            ),
            N_("Please look at your payments again in a few minutes before you start another one."),
        ),
        Tone.LOOK,
        way=_PAYMENT,
    ),
    "library_unavailable": Words(
        N_("The library system does not answer at the moment"),
        (N_("That is why no payment was started. Nothing was charged. Please try again in a few minutes."),),
        Tone.LOOK,
        way=_FEES,
    ),
}


def of_payment(payment: PaymentView, now: datetime) -> str:
    """Return the key in :data:`STATES` of what is said about *payment*."""
    state = payment.state
    if payment.held:
        if state in {State.PAID, State.SETTLING, State.UNKNOWN}:
            return "held_paid"
        return f"held_{state}" if f"held_{state}" in STATES else "held"
    if state is State.VOID:
        precise = f"void_{payment.void_reason}"
        return precise if precise in STATES else "void"
    if state in {State.PAID, State.SETTLING}:
        waits = now - (payment.paid_at or now)
        return "longer" if waits > USUAL_BOOKING_TIME else "paid"
    return "longer" if state is State.UNKNOWN else str(state)


def told(payment: PaymentView, tongue: Tongue, now: datetime) -> Words:
    """Return what the status page says about *payment*."""
    money = tongue.money(payment.cents, payment.currency)
    return STATES[of_payment(payment, now)].said(tongue, sum=money)


def brief(payment: PaymentView, tongue: Tongue) -> str:
    """Return what a list says about *payment*."""
    text = BRIEF["held"] if payment.held else BRIEF[payment.state]
    return tongue.gettext(text)


def method_name(method: str, tongue: Tongue) -> str:
    """Return the name of a method; one that a plugin made up is shown as its plain word."""
    known = METHODS.get(method)
    return tongue.gettext(known) if known else method.replace("_", " ").capitalize()


def number(payment: PaymentView) -> str:
    """Return what a patron says on the telephone: the shortest number that names the payment."""
    return payment.receipt_number or payment.marker or payment.payment_id


def moves(payment: PaymentView) -> bool:
    """Say whether the payment may still change by itself, so that a page follows it."""
    return not payment.held and payment.state not in {State.SETTLED, State.RESOLVED, State.VOID}
