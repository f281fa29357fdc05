"""What works again after a payment: one line each for fees, card and eLending; none is a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.model import Freshness, State, Verdict
from ils_payment.web.words import N_, Tone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ils_payment.config import Library
    from ils_payment.flows.views import ELendingView, PaymentView
    from ils_payment.web.language import Tongue

FEES = N_("These fees are settled.")
OTHER_FEES = N_("Other fees than the ones just paid are still open.")
OPEN_FEES = N_("Fees are still open.")
WHO_TAKES = N_(
    "The page of your open fees says who takes them: this page, the library or the treasury."
    " Questions: %(help)s"
)
"""What is said of open fees that hinder; the platform's own words could be read as the fees just paid."""
RENEWED = N_("Your card is valid until %(day)s.")
RENEWING = N_("Your card is being renewed until %(day)s.")
NOT_YET = N_("Your card is not renewed yet; your library is looking at it.")
OPEN = N_("%(name)s is open: you can borrow there again.")
PROBABLY = N_("%(name)s should work now. If it does not: %(help)s")
SOON = N_("%(name)s should work within %(minutes)s minutes. If it does not: %(help)s")
ASKING = N_("We are asking whether %(name)s is open again.")
UNKNOWN = N_(
    "We could not find out whether %(name)s is open again. Please try it. If it does not work: %(help)s"
)
BLOCKED = N_("%(name)s does not lend to you yet.")
YOUR_LIBRARY = N_("your library helps.")
LIFTERS: Mapping[str, str] = {
    "payment": N_("It ends when the fees are paid."),
    "renewal": N_("It ends when the card is renewed."),
    "return": N_("It ends when the items are returned."),
    "library": N_("Only your library can end it: %(help)s"),
    "time": N_("It ends by itself after some time."),
}
"""Who lifts what hinders, by ``Hindrance.lifted_by``."""

_ENDED_WITHOUT = frozenset({State.RESOLVED, State.VOID})


@dataclass(frozen=True, slots=True)
class Line:
    """One thing, and how it is meant."""

    tone: Tone
    text: str
    leads_to_fees: bool = False


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


def of_platforms(
    views: Iterable[ELendingView], tongue: Tongue, library: Library, payment: PaymentView
) -> tuple[Line, ...]:
    """Say of each eLending platform what it does now; "open" only of one that was truly asked."""
    fees = OTHER_FEES if any(not line.renews for line in payment.lines) else OPEN_FEES
    return tuple(_platform(view, tongue, library, fees) for view in views)


def _platform(view: ELendingView, tongue: Tongue, library: Library, fees: str) -> Line:
    facts = {"name": view.name, "help": _help(tongue, library)}
    if view.looking:
        return Line(Tone.WAIT, tongue.gettext(ASKING) % facts)
    if view.verdict is Verdict.BLOCKED:
        said = [tongue.gettext(BLOCKED) % facts, *_hindrances(view, tongue, facts, fees)]
        return Line(Tone.LOOK, " ".join(said), leads_to_fees=_names_fees(view))
    if view.verdict is Verdict.CANNOT_TELL:
        return Line(Tone.CALM, tongue.gettext(UNKNOWN) % facts)
    if view.asked and view.freshness is not Freshness.DELAYED:
        return Line(Tone.GOOD, tongue.gettext(OPEN) % facts)
    if view.delay is not None:
        minutes = -(-int(view.delay.total_seconds()) // 60)
        return Line(Tone.CALM, tongue.gettext(SOON) % {**facts, "minutes": minutes})
    return Line(Tone.CALM, tongue.gettext(PROBABLY) % facts)


def _names_fees(view: ELendingView) -> bool:
    """Tell whether fees hinder that are open now; a platform that lags behind may mean the ones just paid."""
    current = view.freshness is Freshness.LIVE
    return current and any(one.kind == "fees" for one in view.hindrances)


def _hindrances(view: ELendingView, tongue: Tongue, facts: Mapping[str, str], fees: str) -> list[str]:
    """Name what still blocks, and after it who lifts it; *fees*: what is said of open ones."""
    said = []
    for one in view.hindrances:
        if one.kind == "fees" and _names_fees(view):
            said += [tongue.gettext(fees), tongue.gettext(WHO_TAKES) % facts]
            continue
        lifter = LIFTERS.get(one.lifted_by, LIFTERS["library"])
        said += [tongue.local(one.text) if one.text else "", tongue.gettext(lifter) % facts]
    return list(dict.fromkeys(text for text in said if text))


def _help(tongue: Tongue, library: Library) -> str:
    """Return whom to ask, as it ends a sentence."""
    if library.contact is None:
        return tongue.gettext(YOUR_LIBRARY)
    return f"{library.contact.phone}, {library.contact.mail}"
