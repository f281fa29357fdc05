"""The words of the mails: receipts for patrons, and what staff needs to know without anything personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency

from ils_payment.flows import case_words
from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from datetime import date, datetime

    from ils_payment.config import Library
    from ils_payment.flows.views import CaseView, PaidLine, PaymentView
    from ils_payment.model import LocalText


@dataclass(frozen=True, slots=True)
class Letter:
    """A plain-text mail."""

    subject: str
    body: str


_WORDS = {
    "de": {
        "subject": "Zahlungsbeleg {number}",
        "title": "Zahlungsbeleg (keine Rechnung)",
        "number": "Nummer",
        "date": "Bezahlt am",
        "method": "Zahlungsart",
        "total": "Summe",
        "given_back": "Zurückgegeben am",
        "stays": "Es bleiben",
        "none": "Kostenlos",
        "card": "Kredit- oder Debitkarte",
        "instant_bank_transfer": "Direkt vom Bankkonto (Online-Banking)",
        "payment_page": "Online über die Bezahlseite",
        "test": "TEST: Es ist kein Geld geflossen.",
        "once": "Ihre Mail-Adresse haben wir nur für diese Nachricht verwendet und danach gelöscht.",
    },
    "en": {
        "subject": "Proof of payment {number}",
        "title": "Proof of payment (not an invoice)",
        "number": "Number",
        "date": "Paid on",
        "method": "Paid by",
        "total": "Total",
        "given_back": "Given back on",
        "stays": "What stays",
        "none": "Free of charge",
        "card": "Credit or debit card",
        "instant_bank_transfer": "Directly from the bank account (online banking)",
        "payment_page": "Online on the payment page",
        "test": "TEST: no money has moved.",
        "once": "We used your mail address for this message only and have deleted it.",
    },
}


def money(cents: int, currency: str, language: str) -> str:
    """Return an amount as people write it: ``12,50 €``."""
    return format_currency(to_decimal(cents, currency), currency, locale=language)


def text(words: LocalText | None, language: str) -> str:
    """Return a configured text in *language*, or in the first language it has."""
    return "" if not words else words.get(language) or next(iter(words.values()))


def receipt(library: Library, view: PaymentView, language: str) -> Letter:
    """Write the receipt of a paid payment; what was given back since stands on it: the corrected receipt."""
    words = _WORDS[language if language in _WORDS else "en"]
    lines = [words["test"], ""] if view.test else []
    lines += [words["title"], ""]
    if library.receipt:
        lines += [library.receipt.authority, *library.receipt.address, ""]
    lines += [
        library.name,
        f"{words['number']}: {view.receipt_number}",
        f"{words['date']}: {_when(view.paid_at or view.created_at, library, language)}",
        f"{words['method']}: {words.get(view.method, view.method)}",
        "",
        *(f"{_name(line, language)}: {money(line.cents, view.currency, language)}" for line in view.lines),
        f"{words['total']}: {money(view.cents, view.currency, language)}",
        *_given_back(library, view, language),
        "",
    ]
    if library.receipt:
        lines += [text(library.receipt.tax_note, language), ""]
    lines.append(words["once"])
    return Letter(words["subject"].format(number=view.receipt_number), "\n".join(lines) + "\n")


def _given_back(library: Library, view: PaymentView, language: str) -> list[str]:
    words = _WORDS[language if language in _WORDS else "en"]
    if not view.given_back:
        return []
    rest = view.cents - sum(one.cents for one in view.given_back)
    return [
        *(
            f"{words['given_back']} {_when(one.ended_at or one.asked_at, library, language)}: "
            f"-{money(one.cents, one.currency, language)}"
            for one in view.given_back
        ),
        f"{words['stays']}: {money(rest, view.currency, language)}",
    ]


def case(library: Library, view: PaymentView | None, opened: CaseView, language: str) -> Letter:
    """Tell staff that a case is open: what happened, what to do, where to read more; nothing personal.

    *view* is None for what no payment here belongs to.
    """
    words = case_words.words(language)
    what, to_do = case_words.of_kind(opened.kind, language)
    lines = [
        words["case"].format(library=library.name),
        "",
        *(_facts(library, view, opened.cents or view.cents, language) if view else []),
        f"{words['since']}: {_when(opened.opened_at, library, language)}",
        "",
        what,
        to_do,
        "",
        words["details"],
        f"  ils-payment cases show {opened.case_id}",
        "",
        words["again_case"],
    ]
    about = view.number if view else opened.case_id
    return Letter(f"[{library.name}] {words['case_subject']}: {about}", "\n".join(lines) + "\n")


def unsettled(library: Library, view: PaymentView, language: str) -> Letter:
    """Tell staff that a payment has not come to its end: unread at the provider, or not settled."""
    words = case_words.words(language)
    kind = "unsettled" if view.paid_at else "unread"
    lines = [
        words[kind].format(library=library.name),
        "",
        *_facts(library, view, view.cents, language),
        "",
        words["by_itself"],
        "  ils-payment check",
        f"  ils-payment payments show {view.number}",
        "",
        words["again_unsettled"],
    ]
    return Letter(f"[{library.name}] {words[f'{kind}_subject']}: {view.number}", "\n".join(lines) + "\n")


def _facts(library: Library, view: PaymentView, cents: int, language: str) -> list[str]:
    words = case_words.words(language)
    lines = [
        f"{words['number']}: {view.number}",
        f"{words['amount']}: {money(cents, view.currency, language)}",
        f"{words['begun']}: {_when(view.created_at, library, language)}",
    ]
    if view.paid_at:
        lines.append(f"{words['paid']}: {_when(view.paid_at, library, language)}")
    return lines


def _when(instant: datetime, library: Library, language: str) -> str:
    return format_datetime(instant, "medium", tzinfo=library.zone, locale=language)


def _name(line: PaidLine, language: str) -> str:
    return text(line.label, language) or line.text or line.kind


_REMINDER = {
    "de": {
        "subject": "Ihr Bibliotheksausweis ist noch gültig bis {base}",
        "hello": "Guten Tag,",
        "ends": "Ihr Ausweis {number} der {library} ist gültig bis {base}.",
        "costs": "Sie können ihn jetzt bis {until} verlängern. Das kostet {cents}.",
        "free": "Sie können ihn jetzt bis {until} verlängern. Das kostet nichts.",
        "link": "Hier geht das ohne Anmeldung, auch für Angehörige:",
        "good": "Der Link gilt nur für diesen Ausweis und bis {ends}.",
        "catalogue": "Sie müssen den Link nicht nutzen: Sie können sich wie gewohnt im Katalog der Bibliothek"
        " anmelden und den Ausweis dort verlängern.",
        "done": "Haben Sie schon verlängert? Dann ist nichts mehr zu tun.",
        "address": "Diese Mail-Adresse hat Ihre Bibliothek. Wenn Sie keine Erinnerungen möchten, sagen Sie es"
        " ihr bitte. Hier löschen wir die Adresse nach dem Versand.",
        "questions": "Fragen? Ihre Bibliothek hilft gern: {phone}, {mail}",
    },
    "en": {
        "subject": "Your library card is valid until {base}",
        "hello": "Hello,",
        "ends": "Your card {number} of {library} is valid until {base}.",
        "costs": "You can renew it now until {until}. That costs {cents}.",
        "free": "You can renew it now until {until}. That costs nothing.",
        "link": "Here you can do so without signing in, also for somebody else:",
        "good": "The link is good for this card only, and until {ends}.",
        "catalogue": "You need not use the link: you can sign in to the library catalogue as usual and renew"
        " your card there.",
        "done": "Have you renewed it already? Then there is nothing more to do.",
        "address": "Your library has this mail address. If you do not want to be reminded, please tell it. We"
        " delete the address here after sending.",
        "questions": "Questions? Your library will gladly help: {phone}, {mail}",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """What a reminder says: the masked number, its end, the new one and its price, the link, its end."""

    number: str
    base: date
    until: date
    cents: int
    link: str
    link_ends: datetime
    test: bool


def reminder(library: Library, about: Reminder, language: str) -> Letter:
    """Write the mail before a card ends, with a link that pays for its renewal without signing in."""
    words = _REMINDER[language if language in _REMINDER else "en"]
    said = {
        "library": library.name,
        "number": about.number,
        "base": format_date(about.base, "long", locale=language),
        "until": format_date(about.until, "long", locale=language),
        "cents": money(about.cents, library.currency, language),
        "ends": format_date(about.link_ends.astimezone(library.zone), "long", locale=language),
    }
    lines = [_WORDS[language if language in _WORDS else "en"]["test"], ""] if about.test else []
    lines += [words["hello"], "", words["ends"].format(**said)]
    lines += [words["costs" if about.cents else "free"].format(**said), ""]
    lines += [words["link"], "", f"  {about.link}", "", words["good"].format(**said), words["catalogue"]]
    if library.arrival.opac_url:
        lines.append(f"  {library.arrival.opac_url}")
    lines += ["", words["done"], words["address"], ""]
    if library.contact:
        lines += [words["questions"].format(phone=library.contact.phone, mail=library.contact.mail), ""]
    lines.append(library.name)
    return Letter(words["subject"].format(**said), "\n".join(lines) + "\n")
