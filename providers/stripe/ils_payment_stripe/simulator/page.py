"""The hosted page: plain HTML that a person, or a browser in a test, pays on. No script, no cookie."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ils_payment.model import RawRequest, Reply
from ils_payment_stripe.simulator.refusal import NotPayableError

if TYPE_CHECKING:
    from ils_payment_stripe.simulator.book import Book, Thing
    from ils_payment_stripe.simulator.payer import Payer

TEXTS = {
    "en": {
        "title": "Simulated Stripe Checkout",
        "banner": "This is a simulator. No money moves, and no card is asked for.",
        "to": "Payment to",
        "total": "Total",
        "items": "What is paid",
        "what": "Item",
        "sum": "Amount",
        "pay": "Pay {amount}",
        "pend_succeed": "Pay, the bank confirms later",
        "pend_fail": "Pay, the bank refuses later",
        "decline": "Let this try fail",
        "cancel": "Cancel and go back",
        "declined": "The payment was declined. You can try again or choose another method.",
        "complete": "This checkout has been completed. There is nothing left to pay here.",
        "expired": "This checkout has expired or was closed. Please start again.",
        "missing": "There is no such checkout.",
        "return": "Back to the library",
    },
    "de": {
        "title": "Simulierte Bezahlseite von Stripe",
        "banner": "Dies ist ein Simulator. Es fließt kein Geld, und niemand fragt nach einer Karte.",
        "to": "Zahlung an",
        "total": "Summe",
        "items": "Was bezahlt wird",
        "what": "Posten",
        "sum": "Betrag",
        "pay": "{amount} bezahlen",
        "pend_succeed": "Bezahlen, die Bank bestätigt später",
        "pend_fail": "Bezahlen, die Bank lehnt später ab",
        "decline": "Diesen Versuch scheitern lassen",
        "cancel": "Abbrechen und zurück",
        "declined": "Die Zahlung wurde abgelehnt. Sie können es noch einmal versuchen.",
        "complete": "Diese Zahlung ist abgeschlossen. Hier ist nichts mehr zu bezahlen.",
        "expired": "Diese Bezahlseite ist abgelaufen oder geschlossen. Bitte beginnen Sie noch einmal.",
        "missing": "Diese Bezahlseite gibt es nicht.",
        "return": "Zurück zur Bibliothek",
    },
}
METHODS = {
    "card": {"en": "Card", "de": "Kreditkarte"},
    "pay_by_bank": {"en": "Bank transfer (Pay by Bank)", "de": "Banküberweisung (Pay by Bank)"},
    "klarna": {"en": "Klarna", "de": "Klarna"},
    "paypal": {"en": "PayPal", "de": "PayPal"},
    "sepa_debit": {"en": "SEPA direct debit", "de": "SEPA-Lastschrift"},
}
STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 0 auto; padding: 1rem;
       color: #1a1a1a; background: #fff; overflow-wrap: anywhere; hyphens: auto }
.banner { background: #5b2a86; color: #fff; padding: .75rem 1rem; border-radius: .4rem }
table { width: 100%; border-collapse: collapse }
caption { text-align: left; font-weight: bold }
th, td { text-align: left; padding: .4rem 0; border-bottom: 1px solid #767676 }
th:last-child, td:last-child { text-align: right; white-space: nowrap; padding-left: 1rem }
fieldset { min-width: 0; margin: 1rem 0; border: 1px solid #767676; border-radius: .4rem }
button { font: inherit; min-height: 44px; width: 100%; margin: .25rem 0; padding: .4rem .8rem;
         border: 2px solid #3d2080; border-radius: .4rem; background: #fff; color: #3d2080 }
button.main { background: #3d2080; color: #fff }
a { color: #3d2080 }
[role=status] { border-left: .3rem solid #a30000; padding-left: .8rem }
"""


class Page:
    """Answers requests under ``/c/pay/``."""

    def __init__(self, payer: Payer) -> None:
        """Keep the payer whose hand every button moves."""
        self.payer = payer
        self.book: Book = payer.book

    def handle(self, request: RawRequest) -> Reply:
        """Show a session's page, or do what one of its buttons says."""
        session_id = request.path.removeprefix("/c/pay/")
        with self.book.lock:
            session = self.book.sessions.get(session_id)
            if session is None:
                return html(404, message_page(texts(None, request), "missing"))
            if request.method == "POST":
                return self._act(session, request)
            return html(200, self._shown(session, request))

    def _act(self, session: Thing, request: RawRequest) -> Reply:
        """Press a button and send the browser on."""
        form = parse_qs(request.body.decode(errors="replace"))
        action, method = form.get("action", [""])[0], form.get("method", ["card"])[0]
        here = request.path
        actions: dict[str, tuple[Any, str]] = {
            "pay": (lambda: self.payer.pay(session["id"], method), success_url(session)),
            "pend_succeed": (lambda: self._later(session, method, success=True), success_url(session)),
            "pend_fail": (lambda: self._later(session, method, success=False), success_url(session)),
            "decline": (lambda: self.payer.decline(session["id"], method), f"{here}?declined=1"),
            "cancel": (lambda: None, session["cancel_url"] or here),
        }
        if action not in actions:
            return html(400, message_page(texts(session, request), "missing"))
        press, target = actions[action]
        try:
            press()
        except NotPayableError:
            # A second click on a page that is over: Stripe shows how it ended.
            target = success_url(session) if session["status"] == "complete" else here
        return Reply(status=303, headers=(("location", target), ("cache-control", "no-store")))

    def _later(self, session: Thing, method: str, *, success: bool) -> None:
        self.payer.pay_pending(session["id"], method, outcome=success)

    def _shown(self, session: Thing, request: RawRequest) -> str:
        words = texts(session, request)
        if session["status"] != "open":
            link = success_url(session) if session["status"] == "complete" else session["cancel_url"]
            return message_page(words, session["status"], link)
        notice = f'<p role="status">{words["declined"]}</p>' if "declined=1" in request.query else ""
        rows = "".join(
            f"<tr><td>{escape(line['description'])}</td>"
            f"<td>{amount(line['amount_total'], line['currency'], words)}</td></tr>"
            for line in self.book.line_items[session["id"]]
        )
        total = amount(session["amount_total"], session["currency"], words)
        forms = "".join(method_form(method, total, words) for method in session["payment_method_types"])
        cancel = ""
        if session["cancel_url"]:
            cancel = (
                f'<form method="post"><button name="action" value="cancel">{words["cancel"]}</button></form>'
            )
        body = f"""<h1>{words["to"]} {escape(self.book.account.display_name)}: {total}</h1>
{notice}<table><caption>{words["items"]}</caption>
<thead><tr><th scope="col">{words["what"]}</th><th scope="col">{words["sum"]}</th></tr></thead>
<tbody>{rows}</tbody><tfoot><tr><th scope="row">{words["total"]}</th><td>{total}</td></tr></tfoot></table>
{forms}{cancel}"""
        return document(words, body)


def method_form(method: str, total: str, words: dict[str, str]) -> str:
    """Return the buttons of one method; all but cards can be pending."""
    label = METHODS.get(method, {}).get(words["lang"], method)
    actions = ["pay", "decline"] if method == "card" else ["pay", "pend_succeed", "pend_fail", "decline"]
    buttons = "".join(
        f'<button name="action" value="{action}"{" class=main" if action == "pay" else ""}>'
        f"{words[action].format(amount=total)}</button>"
        for action in actions
    )
    return (
        f'<form method="post"><fieldset><legend>{escape(label)}</legend>'
        f'<input type="hidden" name="method" value="{escape(method)}">{buttons}</fieldset></form>'
    )


def message_page(words: dict[str, str], name: str, link: str | None = None) -> str:
    """Return a page with one sentence and, where there is one, the way back."""
    back = f'<p><a href="{escape(link)}">{words["return"]}</a></p>' if link else ""
    return document(words, f"<h1>{words['title']}</h1><p>{words[name]}</p>{back}")


def document(words: dict[str, str], body: str) -> str:
    """Return a whole HTML document."""
    return f"""<!doctype html>
<html lang="{words["lang"]}"><head><meta charset="utf-8"><title>{words["title"]}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<style>{STYLE}</style></head>
<body><header><p class="banner">{words["banner"]}</p></header><main>{body}</main></body></html>"""


def texts(session: Thing | None, request: RawRequest) -> dict[str, str]:
    """Return the page's words: the session's language, or the browser's where it says ``auto`` or nothing."""
    wanted = (session or {}).get("locale") or "auto"
    if wanted == "auto":
        wanted = request.headers.get("accept-language", "en")
    lang = "de" if wanted.lower().startswith("de") else "en"
    return {**TEXTS[lang], "lang": lang}


def amount(cents: int, currency: str, words: dict[str, str]) -> str:
    """Return a sum of a currency with two decimals as people of that language write it."""
    whole, rest = divmod(cents, 100)
    sign = {"eur": "€", "gbp": "£", "usd": "$"}.get(currency, currency.upper())
    return f"{whole},{rest:02} {sign}" if words["lang"] == "de" else f"{sign} {whole}.{rest:02}"


def success_url(session: Thing) -> str:
    """Return where the browser goes after paying; the session's id replaces the placeholder."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def html(status: int, text: str) -> Reply:
    """Return an HTML answer that no cache keeps."""
    headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"))
    return Reply(status=status, body=text.encode(), headers=headers)
