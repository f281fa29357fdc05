"""Koha's refusals of questions, as errors that name the cause and the mend.

Facts marked *seen* were seen on a running Koha 23.05.04. What an answer to the money call means
stands in :mod:`ils_payment_koha.settling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ils_payment.errors import (
    RemoteAbsentError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment_koha.answers import Shape

if TYPE_CHECKING:
    from ils_payment_koha.answers import Answer


def refuse(answer: Answer) -> NoReturn:
    """Raise the error that a question's answer other than 2xx means."""
    status, shape = answer.status, answer.shape
    if answer.word == "Basic authentication disabled":
        # Seen with Koha's database down as well, so it must not look like a fault of the credentials.
        raise RemoteUnavailableError(
            "Koha says that Basic authentication is off; it says so while its database is down, too.",
            mend="If Koha is well: set the system preference RESTBasicAuth to Enable.",
        )
    if status == 401:
        raise RemoteRefusedError(
            "Koha does not accept our credentials (401).",
            mend="Run `ils-payment check` to see which part is wrong.",
        )
    if status == 403:
        _refuse_right(answer)
    if status == 404 and shape in {Shape.ERROR, Shape.CODE}:
        raise RemoteAbsentError(
            "Koha does not have what was asked for (404).",
            mend="The patron or record may have been deleted or merged in Koha.",
        )
    if status == 404 or 300 <= status < 400:
        raise RemoteRefusedError(
            f"Koha's REST API is not at the configured address, or too old ({status}).",
            mend="Correct url (it ends in /api/v1), or update Koha to 23.05 or newer.",
        )
    if status >= 500 or status in {408, 429}:
        raise RemoteUnavailableError(
            f"Koha cannot answer now ({status}).", mend="Try again; look into Koha's logs if it stays."
        )
    raise RemoteGarbledError(
        f"Koha answered {status} where its specification has none of the kind.",
        mend="Does this version of Koha fit? See docs/koha.md.",
    )


def _refuse_right(answer: Answer) -> NoReturn:
    """Raise the error of a 403: a wrong password (HTTP Basic), or a right that is missing."""
    if answer.word in {"Invalid password", "Password has expired"}:
        raise RemoteRefusedError(
            f"Koha does not accept username and password ({answer.word}).",
            mend="Correct them; the service patron's password must not be expired in Koha.",
        )
    needed = answer.permissions
    raise RemoteRefusedError(
        f"Koha refuses this to our service patron (403{', needed: ' + needed if needed else ''}).",
        mend="Grant the right in Koha: the service patron > More > Set permissions.",
    )


def refuse_token(answer: Answer) -> NoReturn:
    """Raise what an answer of /oauth/token other than 200 means (all seen on 23.05.04)."""
    mends = {
        "access_denied": (
            "Koha refuses the client secret.",
            "Correct client_secret: it must be the one of client_id.",
        ),
        "unauthorized_client": (
            "Koha does not know the client id.",
            "Correct client_id: in Koha, the service patron > More > Manage API keys. It must be active.",
        ),
        "Unimplemented grant type": (
            "Koha gives no tokens.",
            "In Koha, set the system preference RESTOAuth2ClientCredentials to Enable.",
        ),
    }
    if answer.word in mends:
        what, mend = mends[answer.word]
        raise RemoteRefusedError(what, mend=mend)
    refuse(answer)
