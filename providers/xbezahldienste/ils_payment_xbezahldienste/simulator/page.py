"""The payment page: plain HTML that a person, or a browser in a test, pays on. No script, no cookie."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from ils_payment.model import RawRequest, Reply
from ils_payment_xbezahldienste.simulator.book import METHODS, NotPayableError

if TYPE_CHECKING:
    from ils_payment_xbezahldienste.simulator.book import Book, Transaction

TEXTS = {
    "en": {
        "title": "Simulated payment page",
        "banner": "This is a simulator. No money moves, and no card is asked for.",
        "to": "Payment to",
        "items": "What is paid",
        "what": "Item",
        "sum": "Amount",
        "total": "Total",
        "pay": "Pay {amount}",
        "cancel": "Cancel and go back",
        "fail": "Let the payment service give up",
        "PAYED": "This payment is complete. There is nothing left to pay here.",
        "CANCELED": "This payment was cancelled. Please start again.",
        "FAILED": "This payment has failed or took too long. Please start again.",
        "missing": "There is no such payment.",
        "return": "Back to the library",
        "CREDITCARD": "Card",
        "PAYPAL": "PayPal",
        "OTHER": "Other ways to pay",
    },
    "de": {
        "title": "Simulierte Bezahlseite",
        "banner": "Dies ist ein Simulator. Es fließt kein Geld, und niemand fragt nach einer Karte.",
        "to": "Zahlung an",
        "items": "Was bezahlt wird",
        "what": "Posten",
        "sum": "Betrag",
        "total": "Summe",
        "pay": "{amount} bezahlen",
        "cancel": "Abbrechen und zurück",
        "fail": "Den Bezahldienst aufgeben lassen",
        "PAYED": "Diese Zahlung ist abgeschlossen. Hier ist nichts mehr zu bezahlen.",
        "CANCELED": "Diese Zahlung wurde abgebrochen. Bitte beginnen Sie noch einmal.",
        "FAILED": "Diese Zahlung ist gescheitert oder hat zu lange gedauert. Bitte beginnen Sie noch einmal.",
        "missing": "Diese Zahlung gibt es nicht.",
        "return": "Zurück zur Bibliothek",
        "CREDITCARD": "Kreditkarte",
        "PAYPAL": "PayPal",
        "OTHER": "Andere Zahlungsarten",
    },
}
STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 0 auto; padding: 1rem;
       color: #1a1a1a; background: #fff; overflow-wrap: anywhere; hyphens: auto }
.banner { background: #14507a; color: #fff; padding: .75rem 1rem; border-radius: .4rem }
table { width: 100%; border-collapse: collapse }
caption { text-align: left; font-weight: bold }
th, td { text-align: left; padding: .4rem 0; border-bottom: 1px solid #767676 }
th:last-child, td:last-child { text-align: right; white-space: nowrap; padding-left: 1rem }
fieldset { min-width: 0; margin: 1rem 0; border: 1px solid #767676; border-radius: .4rem }
button { font: inherit; min-height: 44px; width: 100%; margin: .25rem 0; padding: .4rem .8rem;
         border: 2px solid #14507a; border-radius: .4rem; background: #fff; color: #14507a }
button.main { background: #14507a; color: #fff }
a { color: #14507a }
"""


class Page:
    """Answers requests under ``/paypage/``."""

    def __init__(self, book: Book) -> None:
        """Keep the book whose hands every button moves."""
        self.book = book

    def handle(self, request: RawRequest) -> Reply:
        """Show a transaction's page, or do what one of its buttons says."""
        words = _words(request)
        with self.book.lock:
            one = self.book.transactions.get(request.path.removeprefix("/paypage/"))
            if one is None:
                return _html(404, _document(words, f"<h1>{words['title']}</h1><p>{words['missing']}</p>"))
            if request.method == "POST":
                return self._press(one, request)
            return _html(200, self._shown(one, words))

    def _press(self, one: Transaction, request: RawRequest) -> Reply:
        """Press a button and send the browser back; the address carries no result (documented)."""
        form = parse_qs(request.body.decode(errors="replace"))
        action, method = form.get("action", [""])[0], form.get("method", [METHODS[0]])[0]
        if action not in {"pay", "cancel", "fail"} or method not in METHODS:
            return Reply(status=400)
        try:
            if action == "pay":
                self.book.pay(one.id, method)
            elif action == "cancel":
                self.book.cancel(one.id)
            else:
                self.book.fail(one.id)
        except NotPayableError:
            # A second click on a page that is over: it says how it ended.
            return Reply(status=303, headers=(("location", request.path), ("cache-control", "no-store")))
        return Reply(
            status=303, headers=(("location", one.request["redirectUrl"]), ("cache-control", "no-store"))
        )

    def _shown(self, one: Transaction, words: dict[str, str]) -> str:
        back = escape(one.request["redirectUrl"])
        if one.status != "INITIAL":
            return _document(
                words,
                f"<h1>{words['title']}</h1><p>{words[one.status]}</p>"
                f'<p><a href="{back}">{words["return"]}</a></p>',
            )
        rows = "".join(
            f"<tr><td>{escape(item['description'])}</td>"
            f"<td>{_amount(int(item['totalNetAmount'] * 100), words)}</td></tr>"
            for item in one.request["items"]
        )
        total = _amount(one.cents, words)
        forms = "".join(_method_form(method, total, words) for method in METHODS)
        return _document(
            words,
            f"""<h1>{words["to"]} {escape(self.book.service.name)}: {total}</h1>
<p>{escape(one.request["purpose"])}</p>
<table><caption>{words["items"]}</caption>
<thead><tr><th scope="col">{words["what"]}</th><th scope="col">{words["sum"]}</th></tr></thead>
<tbody>{rows}</tbody><tfoot><tr><th scope="row">{words["total"]}</th><td>{total}</td></tr></tfoot></table>
{forms}<form method="post"><button name="action" value="cancel">{words["cancel"]}</button>
<button name="action" value="fail">{words["fail"]}</button></form>""",
        )


def _method_form(method: str, total: str, words: dict[str, str]) -> str:
    main = " class=main" if method == METHODS[0] else ""
    return (
        f'<form method="post"><fieldset><legend>{words[method]}</legend>'
        f'<input type="hidden" name="method" value="{method}">'
        f'<button name="action" value="pay"{main}>{words["pay"].format(amount=total)}</button>'
        "</fieldset></form>"
    )


def _words(request: RawRequest) -> dict[str, str]:
    """Return the page's words in the browser's language; the interface does not say the payer's."""
    lang = "de" if request.headers.get("accept-language", "de").lower().startswith("de") else "en"
    return {**TEXTS[lang], "lang": lang}


def _document(words: dict[str, str], body: str) -> str:
    return f"""<!doctype html>
<html lang="{words["lang"]}"><head><meta charset="utf-8"><title>{words["title"]}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<style>{STYLE}</style></head>
<body><header><p class="banner">{words["banner"]}</p></header><main>{body}</main></body></html>"""


def _amount(cents: int, words: dict[str, str]) -> str:
    whole, rest = divmod(cents, 100)
    return f"{whole},{rest:02} €" if words["lang"] == "de" else f"€ {whole}.{rest:02}"


def _html(status: int, text: str) -> Reply:
    headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"))
    return Reply(status=status, body=text.encode(), headers=headers)
