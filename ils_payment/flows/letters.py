"""The words of the mails: receipts for patrons, and what staff needs to know without anything personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from babel.dates import format_datetime
from babel.numbers import format_currency

from ils_payment.money import to_decimal

if TYPE_CHECKING:
    from datetime import datetime

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
        "card": "Kredit- oder Debitkarte",
        "instant_bank_transfer": "Direkt vom Bankkonto (Online-Banking)",
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
        "card": "Credit or debit card",
        "instant_bank_transfer": "Directly from the bank account (online banking)",
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
    """Write the receipt of a paid payment."""
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
        "",
    ]
    if library.receipt:
        lines += [text(library.receipt.tax_note, language), ""]
    lines.append(words["once"])
    return Letter(words["subject"].format(number=view.receipt_number), "\n".join(lines) + "\n")


def case(library: Library, view: PaymentView, opened: CaseView) -> Letter:
    """Tell staff that a case is open: reference, facts in codes, next steps; nothing personal."""
    facts = "\n".join(f"  {name}: {value}" for name, value in sorted(opened.facts.items()))
    steps = "\n".join(f"  {place}. {step}" for place, step in enumerate(opened.next_steps, 1))
    number = view.receipt_number or opened.facts.get("number", "")
    body = (
        f"{library.name}: a payment needs a decision.\n\n"
        f"Number:  {number}\nAmount:  {money(opened.cents, opened.currency, 'en')}\n"
        f"State:   {opened.state}\nCase:    {opened.kind}, open since "
        f"{_when(opened.opened_at, library, 'en')}\n\nWhat is known:\n{facts}\n\nNext steps:\n{steps}\n\n"
        f"Details: ils-payment cases show {opened.case_id}\n"
        "This message comes again every day until the case is closed.\n"
    )
    return Letter(f"[{library.name}] Payment {number}: {opened.kind}", body)


def unsettled(library: Library, view: PaymentView) -> Letter:
    """Tell staff that a payment is paid and still not settled."""
    paid = _when(view.paid_at or view.created_at, library, "en")
    body = (
        f"{library.name}: a payment is paid, but could not be settled in the library system yet.\n\n"
        f"Number:  {view.receipt_number}\nAmount:  {money(view.cents, view.currency, 'en')}\n"
        f"Paid:    {paid}\nState:   {view.state}\n\n"
        "It is tried again by itself. Next steps:\n"
        "  1. Type: ils-payment check    (it says whether the library system can be reached)\n"
        f"  2. Type: ils-payment payments show {view.payment_id}\n\n"
        "This message comes again every day until the payment is settled.\n"
    )
    return Letter(f"[{library.name}] Payment {view.receipt_number} is not settled yet", body)


def _when(instant: datetime, library: Library, language: str) -> str:
    return format_datetime(instant, "medium", tzinfo=library.zone, locale=language)


def _name(line: PaidLine, language: str) -> str:
    return text(line.label, language) or line.text or line.kind
