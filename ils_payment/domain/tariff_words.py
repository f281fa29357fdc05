"""Why a card cannot be renewed online, in plain words, where the tariff has no words of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import LocalText

HELPS: LocalText = {
    "de": "Ihre Bibliothek hilft Ihnen gern weiter.",
    "en": "Your library will be glad to help.",
}
"""Who helps, for a tariff that does not say so."""

WHY_NOT: Mapping[str, LocalText] = {
    "no_tariff": {
        "de": "Für heute ist keine Gebührenordnung hinterlegt, darum lässt sich der Preis nicht nennen.",
        "en": "No list of fees is in force today, so we cannot tell the price.",
    },
    "unknown_category": {
        "de": "Ausweise Ihrer Art lassen sich hier nicht verlängern.",
        "en": "Cards of your kind cannot be renewed here.",
    },
    "not_online": {
        "de": "Ausweise Ihrer Art lassen sich nicht online verlängern.",
        "en": "Cards of your kind cannot be renewed online.",
    },
    "no_expiry": {
        "de": "Ihr Ausweis hat kein Ablaufdatum, Sie müssen ihn nicht verlängern.",
        "en": "Your card has no end date; there is nothing to renew.",
    },
    "too_early": {
        "de": "Ihr Ausweis ist noch länger gültig. Verlängern können Sie ihn erst kurz vor dem Ablauf.",
        "en": "Your card is still valid for some time. You can renew it shortly before it ends.",
    },
    "grace_over": {
        "de": "Ihr Ausweis ist schon zu lange abgelaufen, um ihn online zu verlängern.",
        "en": "Your card ended too long ago to be renewed online.",
    },
    "no_birth_date": {
        "de": "Die Gebühr hängt vom Alter ab, und die Bibliothek kennt Ihr Geburtsdatum nicht.",
        "en": "The fee depends on your age, and the library does not know your date of birth.",
    },
    "birth_date_in_future": {
        "de": "Die Gebühr hängt vom Alter ab, und das Geburtsdatum zu Ihrem Ausweis kann nicht stimmen.",
        "en": "The fee depends on your age, and the date of birth kept with your card cannot be right.",
    },
    "not_at_this_age": {
        "de": "In Ihrem Alter lässt sich ein Ausweis dieser Art nicht mehr online verlängern.",
        "en": "At your age a card of this kind cannot be renewed online.",
    },
    "needs_evidence": {
        "de": "Für die ermäßigte Gebühr braucht die Bibliothek einen aktuellen Nachweis.",
        "en": "For the reduced fee the library needs up-to-date evidence.",
    },
    "evidence_over": {
        "de": "Ihr Nachweis für die ermäßigte Gebühr gilt nicht mehr.",
        "en": "Your evidence for the reduced fee is no longer valid.",
    },
    "evidence_unreadable": {
        "de": "Bis wann Ihr Nachweis für die ermäßigte Gebühr gilt, ist in der Bibliothek nicht lesbar "
        "eingetragen.",
        "en": "The library's record does not say clearly how long your evidence for the reduced fee is "
        "valid.",
    },
    "differs": {
        "de": "Der Preis ist zurzeit nicht eindeutig. Damit Sie nichts Falsches zahlen, lässt sich Ihr "
        "Ausweis gerade nicht online verlängern.",
        "en": "The price is not certain at the moment. So that you do not pay a wrong amount, your card "
        "cannot be renewed online just now.",
    },
}
"""Every code of :class:`ils_payment.domain.tariff.NoQuote` with its words."""


def joined(text: LocalText, helps: LocalText) -> LocalText:
    """Return *text* followed by *helps*, in every language that either has."""
    languages = list(dict.fromkeys((*text, *helps)))
    return {language: f"{spoken(text, language)} {spoken(helps, language)}" for language in languages}


def spoken(text: LocalText, language: str) -> str:
    """Return *text* in *language*, else in the first language that it has."""
    return text.get(language) or next(iter(text.values()), "")
