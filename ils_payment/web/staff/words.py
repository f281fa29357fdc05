"""What staff read when something is refused, missing or over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.web import messages
from ils_payment.web.words import N_, Tone, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = (
    N_("The form was open for too long, or came from another page. Nothing was changed."),
    N_("Please go back, load the page again, and try once more."),
)

MESSAGES: Mapping[str, Words] = {
    "not_found": Words(
        N_("This page does not exist"),
        (N_("Perhaps the address is incomplete, or it belongs to a library that you do not work for."),),
    ),
    "not_allowed": Words(
        N_("Your role does not allow this"),
        (N_("If you need it for your work, please ask whoever runs this program."),),
        Tone.LOOK,
    ),
    "forbidden": Words(N_("That did not work"), _FORM),
    "too_many": messages.MESSAGES["too_many"],
    "bad_request": Words(
        N_("That did not work"), (N_("Something in the request was incomplete. Nothing was changed."),)
    ),
    "failed": Words(
        N_("Something went wrong on our side"),
        (
            N_("Please look whether your last step was recorded before you try it again."),
            N_("If this stays, please tell whoever runs this program."),
        ),
        Tone.LOOK,
    ),
    "unavailable": Words(
        N_("The library system does not answer at the moment"),
        (N_("Please try again in a few minutes. Nothing was changed."),),
        Tone.LOOK,
    ),
    "patron_unknown": Words(
        N_("The library system does not know this patron any more"),
        (N_("Nothing was changed. The payment itself is still here; please find it by its number."),),
        Tone.LOOK,
    ),
    "link_refused": Words(
        N_("This link is not good any more"),
        (
            N_("It can be used once, within 24 hours."),
            N_("Please ask whoever runs this program for a new one: ils-payment staff reset."),
        ),
        Tone.LOOK,
    ),
    "oidc_unavailable": Words(
        N_("The sign-in service does not answer"), (N_("Please try again in a few minutes."),), Tone.LOOK
    ),
    "oidc_refused": Words(
        N_("You could not be signed in"),
        (
            N_("Either it took too long, or your account has no role here."),
            N_("Please try once more. If that does not help, ask whoever runs this program."),
        ),
        Tone.LOOK,
    ),
    "logged_out": Words(
        N_("You are signed out"), (N_("Close the browser window if others use this computer."),), Tone.GOOD
    ),
    "signed_in": Words(N_("You are still signed in"), ()),
    "ended": Words(
        N_("Your session has ended"),
        (N_("For protection, everybody is signed out who does nothing here for a while."),),
    ),
}
