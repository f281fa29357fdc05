"""What a patron reads when something is refused, missing or over: what happened, and a way on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.web.words import N_, Tone, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGAIN = "again"
_FEES = "fees"
_START = "start"
_PAYMENT = "payment"

MESSAGES: Mapping[str, Words] = {
    "not_found": Words(
        N_("This page does not exist"),
        (N_("Perhaps the address is incomplete, or you are signed in with another card."),),
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
    "patron_unknown": Words(
        N_("Your library account was not found"),
        (N_("Please contact your library. Nothing was charged."),),
        Tone.LOOK,
        way=_START,
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
        (N_("Nothing was charged with this step. Please look at your fees again before you pay."),),
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
        N_("A payment for this is running already"),
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
    "not_renewable": Words(
        N_("Your card cannot be renewed here any more"),
        (N_("Nothing was charged. The page of your card says why, and who helps."),),
        way=_FEES,
    ),
    "fees_first": Words(
        N_("Please pay all open fees together with your card"),
        (
            N_("Your library renews cards only when no fees are left open. Nothing was charged."),
            N_("Fees that cannot be paid online have to be paid at the desk first."),
        ),
        way=_FEES,
    ),
    "contact_unconfirmed": Words(
        N_("Please confirm your details"),
        (
            N_("Before your card is renewed, please tick that address, e-mail and telephone are correct."),
            N_("If they are not, please tell your library first. Nothing was charged."),
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
