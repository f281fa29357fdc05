"""What a patron reads about a payment: every state, in plain words.

Written for a tired person late in the evening: first what happened, then where the money is,
then what to do. The table holds the English texts; the catalogues in ``locale/`` the others.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ils_payment.model import State
from ils_payment.web.words import N_, Tone, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.flows.views import PaymentView
    from ils_payment.web.language import Tongue

USUAL_BOOKING_TIME = timedelta(minutes=1)
"""A payment that is paid for longer than this is told so: booking it takes longer than usual."""


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
    "looking": Words(
        N_("One moment, please"),
        (N_("We are asking whether your payment has arrived. This page updates by itself."),),
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
    "given_back": Words(
        N_("Paid back"),
        (
            N_("Your payment was given back to the account or card that you paid with."),
            N_("It can take some days until your bank shows it."),
        ),
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

UNTOLD = N_("Booking it needs a person. Please do not pay again.")
CALL = N_("Please contact your library and mention the number.")
"""What is said about a payment with a case where no mail goes to the staff."""

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
    "given_back": N_("Paid back"),
}
"""A payment in a list, by state, or ``held``, or ``given_back``."""

TEST_NOTE = N_("This is a test: no money moves.")

METHODS: Mapping[str, str] = {
    "card": N_("Credit or debit card"),
    "instant_bank_transfer": N_("Directly from your bank account (online banking)"),
}


def of_payment(payment: PaymentView, now: datetime) -> str:
    """Return the key in :data:`STATES` of what is said about *payment*."""
    state = payment.state
    if payment.held:
        if state in {State.PAID, State.SETTLING, State.UNKNOWN}:
            return "held_paid"
        return f"held_{state}" if f"held_{state}" in STATES else "held"
    if payment.looking:
        return "looking"
    if is_given_back(payment):
        return "given_back"
    if state is State.VOID:
        precise = f"void_{payment.void_reason}"
        return precise if precise in STATES else "void"
    if state in {State.PAID, State.SETTLING}:
        waits = now - (payment.paid_at or now)
        return "longer" if waits > USUAL_BOOKING_TIME else "paid"
    return "longer" if state is State.UNKNOWN else str(state)


def told(payment: PaymentView, tongue: Tongue, now: datetime, *, staff_told: bool = True) -> Words:
    """Return what the status page says about *payment*; *staff_told*: mails about cases go to somebody."""
    money = tongue.money(payment.cents, payment.currency)
    key = of_payment(payment, now)
    words = STATES[key]
    if payment.held and not staff_told:
        first = UNTOLD if key == "held_paid" else words.text[0]
        words = replace(words, text=(first, CALL))
    return words.said(tongue, sum=money)


def brief(payment: PaymentView, tongue: Tongue) -> str:
    """Return what a list says about *payment*."""
    key = "held" if payment.held else "given_back" if is_given_back(payment) else str(payment.state)
    return tongue.gettext(BRIEF[key])


def is_given_back(payment: PaymentView) -> bool:
    """Tell whether the whole payment was given back through the provider."""
    return sum(one.cents for one in payment.given_back) >= payment.cents


def method_name(method: str, tongue: Tongue) -> str:
    """Return the name of a method; one that a plugin made up is shown as its plain word."""
    known = METHODS.get(method)
    return tongue.gettext(known) if known else method.replace("_", " ").capitalize()


def fee_words(label: str, title: str | None, text: str | None) -> tuple[str, str, str]:
    """Return name, title and text of a fee, without what would be said twice; each may be empty.

    Library systems often write the title into the text, so such a text is left out.
    """
    title, text = title or "", text or ""
    if label:
        if _repeats(text, title):
            return label, title, ""
        # "Annual fee 2026" says more than "Annual fee" and stands in its place.
        return (max(label, text, key=len), title, "") if _repeats(text, label) else (label, title, text)
    if _repeats(text, title):
        return max(text, title, key=len), "", ""
    return text or title, title if text else "", ""


def _repeats(one: str, other: str) -> bool:
    """Tell whether one of two texts contains the other."""
    one, other = one.casefold().strip(), other.casefold().strip()
    return bool(one and other) and (one in other or other in one)


def moves(payment: PaymentView) -> bool:
    """Say whether the payment may still change by itself, so that a page follows it."""
    return not payment.held and payment.state not in {State.SETTLED, State.RESOLVED, State.VOID}
