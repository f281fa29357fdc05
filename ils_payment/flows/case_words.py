"""What mails and pages tell staff of each kind of case, and of payments that do not end."""

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
                "Bitte erstatten Sie diese Zahlung.",
            ),
            "paid_late": (
                "Das Geld kam, als die Zahlung schon aufgegeben war; ihre Gebühren hält eine andere Zahlung, die noch niemand bezahlt hat.",
                "Bitte sehen Sie zuerst nach der anderen Zahlung, deren Nummer dabeisteht: Wird sie bezahlt, erstatten Sie diese. Endet sie unbezahlt, verbuchen Sie diese erneut.",
            ),
            "fees_differ": (
                "Bezahlt, aber eine Gebühr wurde inzwischen geändert oder beglichen, oft an der Theke.",
                "Bitte vergleichen Sie im Bibliothekssystem; Geschuldetes verbuchen, doppelt Bezahltes erstatten.",
            ),
            "unclear": (
                "Niemand kann sagen, ob das Bibliothekssystem die Zahlung verbucht hat.",
                "Bitte suchen Sie die Nummer im Konto; fehlt sie, verbuchen Sie von Hand, mit der Nummer als Notiz, und nennen Sie sie hier als Nummer der Buchung.",
            ),
            "not_applied": (
                "Das Bibliothekssystem nimmt die Verbuchung nicht an.",
                "Bitte verbuchen Sie von Hand, oder erstatten Sie.",
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
                "Bitte entscheiden Sie, ob die Gebühr wieder offen ist, und berichtigen Sie das Konto von Hand. Steht eine Nummer dabei, so hat dieses Programm vor der Rücksicherung selbst erstattet, und die Gebühr kann unter dieser Nummer schon neu berechnet sein: Bitte sehen Sie zuerst nach.",
            ),
            "chargeback": (
                "Die Bank hat dieses Geld auf Verlangen der zahlenden Person zurückgeholt (Rückbuchung).",
                "Bitte nehmen Sie beim Zahlungsdienst in der Frist Stellung, und entscheiden Sie, ob die Gebühr wieder offen ist.",
            ),
            "came_back": (
                "Eine Erstattung oder Rückbuchung wurde rückgängig gemacht: Das Geld ist wieder da.",
                "Steht eine Nummer dabei, so ist die Gebühr wohl neu berechnet: Bitte sehen Sie nach, nehmen Sie das zurück, und verbuchen oder erstatten Sie dann.",
            ),
            "refund_stuck": (
                "Eine Erstattung kommt nicht zu ihrem Ende; sie wird weiter versucht.",
                "Bitte sehen Sie beim Zahlungsdienst nach, ob das Geld gegangen ist. Geht es dort nicht mehr, lassen Sie die Kasse auszahlen.",
            ),
            "refund_failed": (
                "Eine Erstattung ist nicht ausgeführt worden.",
                "Bitte erstatten Sie noch einmal, oder lassen Sie die Kasse auszahlen. Kamen auf einer Bezahlseite zwei Beträge an, so gehen Erstattungen von hier nur vom ersten ab: Den anderen erstatten Sie beim Zahlungsdienst selbst. Steht eine Nummer dabei, so kann die Gebühr neu berechnet sein: Bitte sehen Sie nach, und nehmen Sie das zurück.",
            ),
            "treasury_pays": (
                "Eine Erstattung ist verlangt, und der Zahlungsdienst kann nichts zurückgeben.",
                "Bitte geben Sie der Kasse die Anweisung zur Auszahlung, und schließen Sie den Fall mit der Nummer des Belegs. Bleibt die Gebühr bestehen, tragen Sie sie im Bibliothekssystem von Hand wieder ein.",
            ),
            "refund_wanted": (
                "Jemand wollte diese Zahlung erstatten.",
                "Bitte erstatten Sie, oder lassen Sie die Zahlung verbuchen.",
            ),
            "charge_by_hand": (
                "Erstattet, und die Gebühr soll offen bleiben; das Bibliothekssystem weiß davon noch nichts.",
                "Bitte tragen Sie die Gebühr von Hand wieder ein, wenn sie dort nicht offen ist, und schließen Sie den Fall.",
            ),
            "waive_by_hand": (
                "Erstattet, und die Gebühr entfällt; im Bibliothekssystem steht sie wohl noch offen.",
                "Bitte erlassen Sie die Gebühr dort von Hand, wenn sie noch offen ist, und schließen Sie den Fall.",
            ),
            "renewed_elsewhere": (
                "Bezahlt, aber der Ausweis wurde inzwischen anders verlängert oder geändert, meist an der Theke.",
                "Bitte erstatten Sie die Verlängerung; oder verbuchen Sie erneut: Das verlängert um eine weitere Zeit.",
            ),
            "not_renewed": (
                "Bezahlt, aber das Bibliothekssystem verlängert den Ausweis nicht.",
                "Bitte beheben Sie den Grund und verbuchen Sie erneut, oder erstatten Sie.",
            ),
            "renewal_unclear": (
                "Niemand kann sagen, ob der Ausweis verlängert ist.",
                "Bitte sehen Sie das Ablaufdatum nach; verbuchen Sie erneut (dasselbe Datum), oder erstatten Sie.",
            ),
            "renewal_unbooked": (
                "Der Ausweis ist verlängert und bezahlt, aber die Gebühr fehlt im Bibliothekssystem.",
                "Bitte tragen Sie Gebühr und Zahlung von Hand ein, oder verbuchen Sie erneut.",
            ),
            "not_in_ledger": (
                "Der Zahlungsdienst hat eine Zahlung, die in unseren Büchern fehlt.",
                "Bitte suchen Sie sie beim Zahlungsdienst; dort erstatten oder von Hand verbuchen.",
            ),
            "not_at_provider": (
                "Unsere Bücher haben eine Zahlung, die der Zahlungsdienst nicht hat.",
                "Bitte vergleichen Sie mit dem Zahlungsdienst.",
            ),
            "other_amount": (
                "Zahlungsdienst und Bücher nennen verschiedene Beträge.",
                "Bitte vergleichen Sie mit dem Zahlungsdienst.",
            ),
            "other_reversals": (
                "Zahlungsdienst und Bücher sind uneins, wie viel zurückging.",
                "Bitte vergleichen Sie mit dem Zahlungsdienst.",
            ),
            "orphan_marker": (
                "Im Bibliothekssystem steht eine Gutschrift mit einer unserer Nummern, von der die Bücher nichts wissen.",
                "Bitte klären Sie, wer sie eingetragen hat, und berichtigen Sie das Konto, wenn sie nicht stimmt.",
            ),
            "marker_missing": (
                "Eine bestätigte Gutschrift ist aus dem Konto verschwunden.",
                "Bitte klären Sie, wer sie entfernt hat; verbuchen Sie von Hand, oder erstatten Sie.",
            ),
            "marker_twice": (
                "Eine unserer Nummern steht mehr als einmal im Konto.",
                "Bitte berichtigen Sie das Konto von Hand.",
            ),
            "marker_other_amount": (
                "Die Gutschrift hat einen anderen Betrag als verlangt.",
                "Bitte berichtigen Sie das Konto von Hand.",
            ),
            "marker_unexpected": (
                "Im Konto steht eine Gutschrift für eine Zahlung, die damit nicht verbucht wurde.",
                "Bitte berichtigen Sie das Konto von Hand, und erstatten Sie nicht außerdem.",
            ),
            "card_shorter": (
                "Ein bezahlter und verlängerter Ausweis läuft früher ab, als verkauft wurde.",
                "Bitte klären Sie, wer das Datum geändert hat, oder ob das Bibliothekssystem von sich aus kürzer verlängert. Berichtigen Sie es, und verbuchen Sie dann, was noch wartet, erneut (der Ausweis wird nicht noch einmal verlängert); oder erstatten Sie.",
            ),
            "renewed_unpaid": (
                "Das Geld für eine Verlängerung ging zurück, und der Ausweis ist trotzdem verlängert.",
                "Bitte setzen Sie das Datum im Bibliothekssystem zurück, oder kassieren Sie die Gebühr an der Theke.",
            ),
            "charge_differs": (
                "Eine wieder eingetragene Gebühr steht nicht genau einmal im Konto.",
                "Bitte berichtigen Sie das Konto von Hand.",
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
                "Please refund this payment.",
            ),
            "paid_late": (
                "The money came when the payment had been given up already; its fees are held by another payment that nobody has paid yet.",
                "Please look first at the other payment, whose number is named: if it is paid, refund this one; if it ends unpaid, settle this one again.",
            ),
            "fees_differ": (
                "Paid, but a fee was changed or settled meanwhile, often at the desk.",
                "Please compare in the library system; book what is owed, refund what was paid twice.",
            ),
            "unclear": (
                "Nobody can tell whether the library system has booked the payment.",
                "Please look for the number in the account; if it is absent, book by hand with the number as a note, and name it here as the number of the booking.",
            ),
            "not_applied": (
                "The library system does not accept the booking.",
                "Please book by hand, or refund.",
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
                "Please decide whether the fee is owed again, and correct the account by hand. If a number is named, this program made the refund itself before the ledger was put back, and the fee may have been charged again under that number: please look first.",
            ),
            "chargeback": (
                "The bank has taken this money back because the payer asked for it (chargeback).",
                "Please answer at the provider in time, and decide whether the fee is owed again.",
            ),
            "came_back": (
                "A refund or chargeback was undone: the money is with us again.",
                "If a number is named, the fee was probably charged again: please look, take that back, then book it by hand or refund it again.",
            ),
            "refund_stuck": (
                "A refund does not come to its end; it is tried on.",
                "Please look at the provider whether the money has left. If it cannot leave there any more, let the treasury pay it out.",
            ),
            "refund_failed": (
                "A refund was not carried out.",
                "Please refund again, or let the treasury pay it out. If two sums came on one payment page, refunds from here are taken from the first only: give the other one back at the provider itself. If a number is named, the fee may have been charged again: please look, and take that back.",
            ),
            "treasury_pays": (
                "A refund was asked for, and the provider cannot give anything back.",
                "Please order the treasury to pay it out, and close the case with the number of its voucher. If the fee stays, charge it again in the library system by hand.",
            ),
            "refund_wanted": (
                "Somebody wanted to refund this payment.",
                "Please refund it, or let it be settled.",
            ),
            "charge_by_hand": (
                "Refunded, and the fee shall stay open; the library system does not know that yet.",
                "Please charge the fee again by hand, unless it is open there, and close the case.",
            ),
            "waive_by_hand": (
                "Refunded, and the fee is dropped; in the library system it is probably still open.",
                "Please waive the fee there by hand if it is open still, and close the case.",
            ),
            "renewed_elsewhere": (
                "Paid, but the card was renewed or changed otherwise meanwhile, mostly at the desk.",
                "Please refund the renewal; or settle again, which extends the card by one more period.",
            ),
            "not_renewed": (
                "Paid, but the library system does not renew the card.",
                "Please mend the cause and settle again, or refund.",
            ),
            "renewal_unclear": (
                "Nobody can tell whether the card is renewed.",
                "Please look at its expiry; settle again (the same day is written), or refund.",
            ),
            "renewal_unbooked": (
                "The card is renewed and paid for, but its fee is missing in the library system.",
                "Please book fee and payment by hand, or settle again.",
            ),
            "not_in_ledger": (
                "The provider has a payment that our books lack.",
                "Please find it at the provider; refund it there, or book it by hand.",
            ),
            "not_at_provider": (
                "Our books have a payment that the provider has not.",
                "Please compare with the provider.",
            ),
            "other_amount": (
                "Provider and books name different amounts.",
                "Please compare with the provider.",
            ),
            "other_reversals": (
                "Provider and books differ about what went back.",
                "Please compare with the provider.",
            ),
            "orphan_marker": (
                "The library system has a credit with one of our numbers that the books know nothing of.",
                "Please find out who wrote it, and correct the account if it is not right.",
            ),
            "marker_missing": (
                "A confirmed credit has vanished from the account.",
                "Please find out who removed it; book by hand, or refund.",
            ),
            "marker_twice": (
                "One of our numbers stands in the account more than once.",
                "Please correct the account by hand.",
            ),
            "marker_other_amount": (
                "The credit has another amount than was asked for.",
                "Please correct the account by hand.",
            ),
            "marker_unexpected": (
                "The account has a credit for a payment that was not settled by it.",
                "Please correct the account by hand, and do not refund as well.",
            ),
            "card_shorter": (
                "A card that was renewed and paid for ends earlier than was sold.",
                "Please find out who changed it, or whether the library system itself renews for a shorter time. Correct its expiry, and then settle again what still waits (the card is not renewed once more); or refund.",
            ),
            "renewed_unpaid": (
                "The money of a renewal went back, and the card is renewed all the same.",
                "Please put the expiry back in the library system, or take the fee at the desk.",
            ),
            "charge_differs": (
                "A fee that was charged again is not in the account just once.",
                "Please correct the account by hand.",
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


def of_kind(kind: str, language: str) -> tuple[str, str]:
    """Return what happened where a case of this *kind* is open, and what to do."""
    known: dict[str, tuple[str, str]] = words(language)["cases"]
    return known.get(kind, known["unexpected"])
