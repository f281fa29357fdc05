"""What a patron reads about a payment: which words fit it, and the names of fees and methods."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ils_payment.domain.states import ENDED, PAID_UNSETTLED
from ils_payment.model import State
from ils_payment.web.state_words import BRIEF, CALL, STATES, UNTOLD, UNTOLD_FREE
from ils_payment.web.words import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.flows.views import PaidLine, PaymentView
    from ils_payment.web.language import Tongue
    from ils_payment.web.words import Words

USUAL_BOOKING_TIME = timedelta(minutes=1)
"""A payment that is paid for longer than this is told so: booking it takes longer than usual."""


ASKING_FAILED: Mapping[str, str] = {
    "refused": N_("The PIN does not fit, or there were too many attempts. Please check it, or wait an hour."),
    "unavailable": N_("Nobody answered just now. Please try again in a few minutes."),
}
"""Why an eLending platform could not be asked with a PIN."""

METHODS: Mapping[str, str] = {
    "none": N_("Free of charge"),
    "card": N_("Credit or debit card"),
    "instant_bank_transfer": N_("Directly from your bank account (online banking)"),
    "payment_page": N_("Online; you choose how on the payment page"),
}


def of_payment(payment: PaymentView, now: datetime) -> str:
    """Return the key in :data:`STATES` of what is said about *payment*."""
    state = payment.state
    if payment.held:
        if state in PAID_UNSETTLED:
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
    words = STATES[_precise(key, payment)]
    if payment.held and not staff_told:
        untold = UNTOLD_FREE if bought(payment) == "free" else UNTOLD
        first = untold if key == "held_paid" else words.text[0]
        words = replace(words, text=(first, CALL))
    return words.said(tongue, sum=money)


def brief(payment: PaymentView, tongue: Tongue) -> str:
    """Return what a list says about *payment*."""
    key = "held" if payment.held else "given_back" if is_given_back(payment) else str(payment.state)
    free = f"{key}_free"
    return tongue.gettext(BRIEF[free if bought(payment) == "free" and free in BRIEF else key])


def bought(payment: PaymentView) -> str:
    """Return what was bought: ``fees``, ``card``, ``both``, or ``free``: a renewal that costs nothing."""
    if payment.renewal is None:
        return "fees"
    if len(payment.lines) > 1:
        return "both"
    return "card" if payment.cents else "free"


def _precise(key: str, payment: PaymentView) -> str:
    """Return the key of the words that fit what was bought; a card counts as renewed when it is."""
    renewed = payment.renewal is not None and payment.renewal.state == "renewed"
    precise = f"{key}_{bought(payment)}"
    return precise if precise in STATES and (renewed or key != "settled") else key


def is_given_back(payment: PaymentView) -> bool:
    """Tell whether the whole payment was given back through the provider."""
    return bool(payment.given_back) and sum(one.cents for one in payment.given_back) >= payment.cents


def method_name(method: str, tongue: Tongue) -> str:
    """Return the name of a method; one that a plugin made up is shown as its plain word."""
    known = METHODS.get(method)
    return tongue.gettext(known) if known else method.replace("_", " ").capitalize()


def frozen_words(line: PaidLine, tongue: Tongue) -> tuple[str, str, str]:
    """Return the words of a frozen line; its own name in another language says nothing new."""
    label = line.label or {}
    return fee_words(tongue.local(label), None, "" if line.text in label.values() else line.text)


def booked_on(line: PaidLine, tongue: Tongue) -> str:
    """Say where a fee is booked, for the treasury's eyes; empty where nothing is configured."""
    parts = (
        (N_("Cost centre %(code)s"), line.cost_centre),
        (N_("Booking account %(code)s"), line.account),
        (N_("Tax code %(code)s"), line.tax_code),
    )
    return " · ".join(tongue.gettext(words) % {"code": code} for words, code in parts if code)


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
    return not payment.held and payment.state not in ENDED
