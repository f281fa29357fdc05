"""What works again after a payment: one line each for fees, card and eLending; none is a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.model import State
from ils_payment.web.words import N_, Tone

if TYPE_CHECKING:
    from ils_payment.flows.views import PaymentView
    from ils_payment.web.language import Tongue

FEES = N_("Your fees are settled.")
RENEWED = N_("Your card is valid until %(day)s.")
RENEWING = N_("Your card is being renewed until %(day)s.")
NOT_YET = N_("Your card is not renewed yet; your library is looking at it.")
_ENDED_WITHOUT = frozenset({State.RESOLVED, State.VOID})


@dataclass(frozen=True, slots=True)
class Line:
    """One thing, and how it is meant."""

    tone: Tone
    text: str


def of_payment(payment: PaymentView, tongue: Tongue) -> tuple[Line, ...]:
    """Return what has become of fees and card; nothing before the payment is paid."""
    if payment.paid_at is None:
        return ()
    lines = []
    if payment.state is State.SETTLED and any(not line.renews for line in payment.lines):
        lines.append(Line(Tone.GOOD, tongue.gettext(FEES)))
    card = _card(payment, tongue)
    return (*lines, card) if card else tuple(lines)


def _card(payment: PaymentView, tongue: Tongue) -> Line | None:
    """Say what the card says now; what a person made of it is known to the library alone."""
    renewal = payment.renewal
    if renewal is None:
        return None
    day = {"day": tongue.day(renewal.until)}
    if renewal.state == "renewed":
        return Line(Tone.GOOD, tongue.gettext(RENEWED) % day)
    if payment.state in _ENDED_WITHOUT or payment.given_back:
        return None
    if renewal.state == "given_up" or payment.held:
        return Line(Tone.LOOK, tongue.gettext(NOT_YET))
    return Line(Tone.WAIT, tongue.gettext(RENEWING) % day)
