"""The words about a payment by state, and what else they depend on: what was bought, and whether it was free.

Written for a tired person late in the evening: first what happened, then where the money is,
then what to do. The tables hold the English texts; the catalogues in ``locale/`` the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.web.words import N_, Tone, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "settled_card": Words(
        N_("Paid, and your card is renewed"),
        (N_("Thank you. We have received %(sum)s."),),
        Tone.GOOD,
    ),
    "settled_both": Words(
        N_("Paid, and your card is renewed"),
        (N_("Thank you. We have received %(sum)s, and the fees are settled in your library account."),),
        Tone.GOOD,
    ),
    "paid_free": Words(
        N_("Your card is being renewed"),
        (N_("This takes a few seconds. This page updates by itself."),),
        Tone.WAIT,
    ),
    "longer_free": Words(
        N_("Your card is being renewed"),
        (
            N_("It takes a little longer today."),
            N_("You need not wait here: we go on by ourselves until it is done."),
        ),
        Tone.WAIT,
    ),
    "settled_free": Words(
        N_("Your card is renewed"),
        (N_("Thank you. That cost you nothing."),),
        Tone.GOOD,
    ),
    "resolved_free": Words(
        N_("Your library has closed this renewal"),
        (N_("The staff have dealt with it by hand. If anything is unclear, please contact your library."),),
        Tone.GOOD,
    ),
    "held_paid_free": Words(
        N_("The staff are looking at your renewal"),
        (
            N_("It needs a person. Your library has been told."),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
    ),
    "held_settled_free": Words(
        N_("Your card is renewed; the staff are looking at it once more"),
        (
            N_("There is a question about it that your library is clearing up."),
            N_("You need not do anything. If you have questions, please mention the number."),
        ),
        Tone.LOOK,
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
    "void_card": Words(
        N_("This payment was not made"),
        (N_("Nothing was charged, and your card is as it was. You can start again whenever you like."),),
    ),
    "void_cancelled_card": Words(
        N_("Payment cancelled"),
        (N_("Nothing was charged, and your card is as it was. You can start again whenever you like."),),
    ),
    "void_expired_card": Words(
        N_("This payment was not completed"),
        (
            N_("The time for it ran out, or the bank did not agree. Nothing was charged."),
            N_("Your card is as it was; you can start again whenever you like."),
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
    "held_card": Words(
        N_("The staff are looking at this payment"),
        (
            N_("Something about it is unclear. Please do not pay for your card again until you hear more."),
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
UNTOLD_FREE = N_("It needs a person.")
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
    "paid_free": N_("Being renewed"),
    "settling_free": N_("Being renewed"),
    "unknown_free": N_("Being renewed"),
    "settled_free": N_("Renewed"),
}
"""A payment in a list, by state, or ``held``, or ``given_back``; ``_free``: a renewal that costs nothing."""
