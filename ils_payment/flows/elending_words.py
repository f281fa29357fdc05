"""What a patron reads of eLending after a payment: short, and always with what happens next.

``{name}`` is the platform, ``{contact}`` how the library is reached, ``{minutes}`` how long the platform
may take to follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.flows.views import ELendingView
    from ils_payment.model import Hindrance, LocalText

OPEN: LocalText = {
    "de": "{name}: wieder offen. Wir haben eben nachgefragt.",
    "en": "The {name} is open. We have just asked.",
}
"""Only when the platform, or what it asks itself, was truly asked."""

SHOULD_WORK: LocalText = {
    "de": "{name}: sollte jetzt gehen. Wenn nicht: {contact}",
    "en": "The {name} should work now; if not: {contact}",
}

SHOULD_WORK_SOON: LocalText = {
    "de": "{name}: sollte spätestens in {minutes} Minuten gehen. Wenn nicht: {contact}",
    "en": "The {name} should work within {minutes} minutes; if not: {contact}",
}

NOT_OPEN: LocalText = {
    "de": "{name}: noch nicht offen.",
    "en": "The {name} is not open yet.",
}
"""The hindrances follow, each with who lifts it."""

CANNOT_TELL: LocalText = {
    "de": "{name}: Wir konnten nicht nachfragen. Bitte versuchen Sie es; wenn es nicht geht: {contact}",
    "en": "The {name}: we could not ask. Please try; if it does not work: {contact}",
}

LOOKING: LocalText = {
    "de": "{name}: Wir fragen gerade nach.",
    "en": "The {name}: we are asking.",
}

HINDRANCES: Mapping[str, LocalText] = {
    "expired": {"de": "Ihr Ausweis ist abgelaufen.", "en": "Your library card has expired."},
    "fees": {"de": "Es sind noch Gebühren offen.", "en": "There are still open fees."},
    "restriction": {"de": "Ihr Konto ist gesperrt.", "en": "Your account is blocked."},
    "overdues": {"de": "Sie haben noch überfällige Medien.", "en": "You still have overdue items."},
    "address": {"de": "Ihre Anschrift muss geprüft werden.", "en": "Your address has to be checked."},
    "lost_card": {
        "de": "Ihr Ausweis ist als verloren gemeldet.",
        "en": "Your library card is reported as lost.",
    },
    "locked": {
        "de": "Ihr Konto ist nach zu vielen falschen Anmeldungen gesperrt.",
        "en": "Your account is locked after too many wrong sign-ins.",
    },
    "category": {
        "de": "Dieses Angebot gehört nicht zu Ihrer Art von Ausweis.",
        "en": "Your kind of library card does not include this service.",
    },
    "other": {
        "de": "In Ihrem Konto steht dem noch etwas anderes entgegen.",
        "en": "Something else in your account is in the way.",
    },
}

LIFTED_BY: Mapping[str, LocalText] = {
    "payment": {
        "de": "Das ist vorbei, sobald sie bezahlt sind.",
        "en": "This ends as soon as they are paid.",
    },
    "renewal": {
        "de": "Das ist vorbei, sobald der Ausweis verlängert ist.",
        "en": "This ends as soon as the card is renewed.",
    },
    "return": {
        "de": "Das ist vorbei, sobald sie zurückgegeben oder verlängert sind.",
        "en": "This ends as soon as they are returned or renewed.",
    },
    "library": {
        "de": "Das kann nur die Bibliothek aufheben: {contact}",
        "en": "Only the library can lift this: {contact}",
    },
    "time": {"de": "Das ist nach einer Weile von selbst vorbei.", "en": "This ends by itself after a while."},
}


def sentence(view: ELendingView, contact: str) -> LocalText:
    """Say how it stands with a platform; *contact* is how the library is reached, e.g. its telephone.

    That it is open is said only where it was truly asked.
    """
    minutes = str(-(-int(view.delay.total_seconds()) // 60)) if view.delay else ""
    if view.looking:
        text = LOOKING
    elif view.verdict is Verdict.BLOCKED:
        text = NOT_OPEN
    elif view.verdict is Verdict.CANNOT_TELL:
        text = CANNOT_TELL
    elif view.asked:
        text = OPEN
    else:
        text = SHOULD_WORK_SOON if minutes else SHOULD_WORK
    return filled(text, name=view.name, contact=contact, minutes=minutes)


def hindrance(one: Hindrance, contact: str) -> LocalText:
    """Say what still blocks, and who can lift it."""
    what = one.text or HINDRANCES.get(one.kind, HINDRANCES["other"])
    who = filled(LIFTED_BY[one.lifted_by], contact=contact)
    return {language: f"{words} {who.get(language, who['de'])}" for language, words in what.items()}


def filled(text: LocalText, **values: str) -> LocalText:
    """Return *text* with its placeholders filled in, in every language."""
    return {language: words.format(**values) for language, words in text.items()}
