"""The words of the mails to staff, in the library's language."""

from __future__ import annotations

from typing import Any

_WORDS: dict[str, dict[str, Any]] = {
    "de": {
        "case": "{library}: Eine Zahlung braucht eine Entscheidung.",
        "case_subject": "Zahlung braucht eine Entscheidung",
        "unsettled": "{library}: Eine Zahlung ist da, konnte im Bibliothekssystem aber noch nicht verbucht werden.",
        "unsettled_subject": "Zahlung noch nicht verbucht",
        "unread": "{library}: Eine Zahlung ist beim Zahlungsdienst noch nicht zu einem Ende gekommen.",
        "unread_subject": "Zahlung ohne Ende",
        "number": "Nummer",
        "amount": "Betrag",
        "begun": "Begonnen",
        "paid": "Bezahlt",
        "since": "Offen seit",
        "details": "Wessen Zahlung es ist und was genau bekannt ist, zeigt auf dem Server:",
        "by_itself": "Es wird von selbst weiter versucht. Ob Bibliothekssystem und Zahlungsdienst zu erreichen sind, zeigt:",
        "again_case": "Diese Nachricht kommt jeden Tag wieder, solange der Fall offen ist.",
        "again_unsettled": "Diese Nachricht kommt jeden Tag wieder, bis die Zahlung zu einem Ende gekommen ist.",
        "cases": {
            "paid_wrong": (
                "Es kam ein anderer Betrag, eine andere Währung oder ein anderer Modus an als verlangt.",
                "Bitte vergleichen Sie mit dem Zahlungsdienst; dann erstatten oder von Hand verbuchen.",
            ),
            "paid_twice": (
                "Diese Gebühren wurden schon mit einer anderen Zahlung bezahlt.",
                "Bitte erstatten Sie diese Zahlung beim Zahlungsdienst.",
            ),
            "fees_differ": (
                "Bezahlt, aber eine Gebühr wurde inzwischen geändert oder beglichen, oft an der Theke.",
                "Bitte vergleichen Sie im Bibliothekssystem; Geschuldetes verbuchen, doppelt Bezahltes erstatten.",
            ),
            "unclear": (
                "Niemand kann sagen, ob das Bibliothekssystem die Zahlung verbucht hat.",
                "Bitte suchen Sie die Nummer im Konto; fehlt sie, verbuchen Sie von Hand, mit der Nummer als Notiz.",
            ),
            "not_applied": (
                "Das Bibliothekssystem nimmt die Verbuchung nicht an.",
                "Bitte verbuchen Sie von Hand, oder erstatten Sie beim Zahlungsdienst.",
            ),
            "read_back": (
                "Verbucht, aber das Konto sieht danach nicht aus, wie es soll.",
                "Bitte vergleichen Sie das Konto mit der Zahlung, und berichtigen Sie es von Hand.",
            ),
            "marker_wrong": (
                "Die Gutschrift mit dieser Nummer stimmt nicht: anderer Betrag, nicht verrechnet oder mehrfach.",
                "Bitte berichtigen Sie das Konto von Hand.",
            ),
            "reversed": (
                "Geld dieser Zahlung ging beim Zahlungsdienst zurück (Erstattung oder Rückbuchung).",
                "Bitte entscheiden Sie, ob die Gebühr wieder offen ist, und berichtigen Sie das Konto von Hand.",
            ),
            "broken_rule": (
                "Es geschah etwas, das nicht möglich sein soll.",
                "Bitte entscheiden Sie von Hand, und schicken Sie das Protokoll dieser Zahlung an die Entwickler.",
            ),
            "unexpected": (
                "Zahlungsdienst und Bibliothekssystem sagen Verschiedenes.",
                "Bitte vergleichen Sie beide mit dem Verlauf der Zahlung, und entscheiden Sie von Hand.",
            ),
        },
    },
    "en": {
        "case": "{library}: a payment needs a decision.",
        "case_subject": "Payment needs a decision",
        "unsettled": "{library}: a payment is there, but could not be settled in the library system yet.",
        "unsettled_subject": "Payment not settled yet",
        "unread": "{library}: a payment has not come to an end at the provider.",
        "unread_subject": "Payment without an end",
        "number": "Number",
        "amount": "Amount",
        "begun": "Begun",
        "paid": "Paid",
        "since": "Open since",
        "details": "Whose payment it is and what exactly is known is shown on the server by:",
        "by_itself": "It is tried again by itself. Whether library system and provider can be reached is shown by:",
        "again_case": "This message comes again every day while the case is open.",
        "again_unsettled": "This message comes again every day until the payment has come to an end.",
        "cases": {
            "paid_wrong": (
                "Another amount, currency or mode arrived than was asked for.",
                "Please compare with the provider; then refund, or book by hand.",
            ),
            "paid_twice": (
                "These fees have been paid by another payment already.",
                "Please refund this payment at the provider.",
            ),
            "fees_differ": (
                "Paid, but a fee was changed or settled meanwhile, often at the desk.",
                "Please compare in the library system; book what is owed, refund what was paid twice.",
            ),
            "unclear": (
                "Nobody can tell whether the library system has booked the payment.",
                "Please look for the number in the account; if it is absent, book by hand with the number as a note.",
            ),
            "not_applied": (
                "The library system does not accept the booking.",
                "Please book by hand, or refund at the provider.",
            ),
            "read_back": (
                "Booked, but the account does not look as it should afterwards.",
                "Please compare the account with the payment, and correct it by hand.",
            ),
            "marker_wrong": (
                "The credit with this number is not right: another amount, not used for fees, or there twice.",
                "Please correct the account by hand.",
            ),
            "reversed": (
                "Money of this payment went back at the provider (refund or chargeback).",
                "Please decide whether the fee is owed again, and correct the account by hand.",
            ),
            "broken_rule": (
                "Something happened that should not be possible.",
                "Please decide by hand, and send the log of this payment to the developers.",
            ),
            "unexpected": (
                "Provider and library system say different things.",
                "Please compare both with the history of the payment, and decide by hand.",
            ),
        },
    },
}


def words(language: str) -> dict[str, Any]:
    """Return the words of *language*, English where there are none."""
    return _WORDS.get(language, _WORDS["en"])
