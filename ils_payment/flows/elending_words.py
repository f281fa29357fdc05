"""The house's own words for what still stands in the way of eLending."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment.model import LocalText

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
