"""The payment page of a link or session: plain HTML that a person, or a browser in a test, pays on."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit, urlunsplit

from ils_payment.model import RawRequest, Reply
from ils_payment_adyen.simulator.book import NotPayableError

if TYPE_CHECKING:
    from ils_payment_adyen.simulator.book import Book, Thing

TEXTS = {
    "en": {
        "title": "Simulated payment page of Adyen",
        "banner": "This is a simulator. No money moves, and no card is asked for.",
        "pay": "Pay {amount}",
        "later": "Pay, the bank confirms later",
        "later_fail": "Pay, the bank refuses later",
        "decline": "Let this try fail",
        "cancel": "Cancel and go back",
        "declined": "The payment was declined. You can try again or choose another method.",
        "over": "This payment page is over. Please start again.",
        "completed": "The payment is completed. There is nothing left to pay here.",
        "paymentPending": "The bank is confirming the payment.",
        "missing": "There is no such payment page.",
        "continue": "Continue",
    },
    "de": {
        "title": "Simulierte Bezahlseite von Adyen",
        "banner": "Dies ist ein Simulator. Es fließt kein Geld, und niemand fragt nach einer Karte.",
        "pay": "{amount} bezahlen",
        "later": "Bezahlen, die Bank bestätigt später",
        "later_fail": "Bezahlen, die Bank lehnt später ab",
        "decline": "Diesen Versuch scheitern lassen",
        "cancel": "Abbrechen und zurück",
        "declined": "Die Zahlung wurde abgelehnt. Sie können es noch einmal versuchen.",
        "over": "Diese Bezahlseite ist nicht mehr gültig. Bitte beginnen Sie noch einmal.",
        "completed": "Die Zahlung ist abgeschlossen. Hier ist nichts mehr zu bezahlen.",
        "paymentPending": "Die Bank bestätigt die Zahlung.",
        "missing": "Diese Bezahlseite gibt es nicht.",
        "continue": "Weiter",
    },
}
METHODS = {
    "scheme": {"en": "Card", "de": "Kreditkarte"},
    "paybybank": {"en": "Pay by Bank", "de": "Banküberweisung (Pay by Bank)"},
    "trustly": {"en": "Trustly", "de": "Trustly"},
    "klarna_paynow": {"en": "Klarna", "de": "Klarna"},
}
STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 0 auto; padding: 1rem;
       color: #1a1a1a; background: #fff; overflow-wrap: anywhere; hyphens: auto }
.banner { background: #0a5c36; color: #fff; padding: .75rem 1rem; border-radius: .4rem }
fieldset { min-width: 0; margin: 1rem 0; border: 1px solid #767676; border-radius: .4rem }
button { font: inherit; min-height: 44px; width: 100%; margin: .25rem 0; padding: .4rem .8rem;
         border: 2px solid #0a5c36; border-radius: .4rem; background: #fff; color: #0a5c36 }
button.main { background: #0a5c36; color: #fff }
[role=status] { border-left: .3rem solid #a30000; padding-left: .8rem }
"""


class Page:
    """Answers requests under ``/pay/``."""

    def __init__(self, book: Book) -> None:
        """Keep the book whose hands every button moves."""
        self.book = book

    def handle(self, request: RawRequest) -> Reply:
        """Show a page, or do what one of its buttons says."""
        with self.book.lock:
            page = self.book.pages.get(request.path.removeprefix("/pay/"))
            if page is None:
                words = TEXTS["en"]
                return _html(404, _document("en", words, f"<p>{words['missing']}</p>"))
            if request.method == "POST":
                return self._act(page, request)
            return _html(200, self._shown(page, request))

    def _act(self, page: Thing, request: RawRequest) -> Reply:
        """Press a button and send the browser on.

        A session leads back by itself, with its result; a link's page shows a button that does.
        """
        form = parse_qs(request.body.decode(errors="replace"))
        action, method = form.get("action", [""])[0], form.get("method", ["scheme"])[0]
        ref, here = page["id"], request.path
        try:
            if action == "pay":
                self.book.pay(ref, method)
            elif action in {"later", "later_fail"}:
                self.book.pay_later(ref, method, success=action == "later")
            elif action == "decline":
                self.book.decline(ref, method)
                return _see(f"{here}?declined=1")
            elif action == "cancel":
                self.book.leave(ref)
            else:
                return _html(400, self._shown(page, request))
        except NotPayableError:
            # A second click on a page that is over: it shows how it ended.
            return _see(here)
        return _see(back(page) if page["kind"] == "session" else here)

    def _shown(self, page: Thing, request: RawRequest) -> str:
        lang = "de" if str(page["wanted"].get("shopperLocale", "")).startswith("de") else "en"
        words = TEXTS[lang]
        if page["status"] != "active":
            text = words.get(page["status"], words["over"])
            return _document(lang, words, f"<h1>{words['title']}</h1><p>{text}</p>{_continue(page, words)}")
        amount = _amount(page["wanted"]["amount"], lang)
        declined = f'<p role="status">{words["declined"]}</p>' if "declined=1" in request.query else ""
        allowed = page["wanted"].get("allowedPaymentMethods") or self.book.offered
        forms = "".join(
            _method(one, lang, amount) for one in allowed if one in (*self.book.offered, "klarna_paynow")
        )
        cancel = ""
        if page["kind"] == "session":
            cancel = (
                f'<form method="post"><button name="action" value="cancel">{words["cancel"]}</button></form>'
            )
        what = escape(page["wanted"].get("description") or page["wanted"]["reference"])
        return _document(lang, words, f"<h1>{what}: {amount}</h1>{declined}{forms}{cancel}")


def back(page: Thing) -> str:
    """Return where a session sends its payer, with what Adyen adds to the address (names unverified)."""
    parts = urlsplit(str(page["wanted"]["returnUrl"]))
    added = f"sessionId={quote(page['id'])}&sessionResult={quote(page['result'], safe='')}"
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))


def _continue(page: Thing, words: dict[str, str]) -> str:
    """Return the button that leads a link's payer back."""
    target = page["wanted"].get("returnUrl")
    if page["kind"] != "link" or not target:
        return ""
    parts = urlsplit(target)
    # A GET form replaces the query of its address, so the query goes along as fields.
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in parse_qsl(parts.query)
    )
    action = escape(urlunsplit(parts._replace(query="")))
    return (
        f'<form method="get" action="{action}">{fields}<button class=main>{words["continue"]}</button></form>'
    )


def _method(method: str, lang: str, amount: str) -> str:
    """Return the buttons of one method; all but cards can be pending."""
    words = TEXTS[lang]
    actions = ["pay", "decline"] if method == "scheme" else ["pay", "later", "later_fail", "decline"]
    buttons = "".join(
        f'<button name="action" value="{action}"{" class=main" if action == "pay" else ""}>'
        f"{words[action].format(amount=amount)}</button>"
        for action in actions
    )
    label = METHODS.get(method, {}).get(lang, method)
    return (
        f'<form method="post"><fieldset><legend>{escape(label)}</legend>'
        f'<input type="hidden" name="method" value="{escape(method)}">{buttons}</fieldset></form>'
    )


def _amount(amount: Thing, lang: str) -> str:
    whole, rest = divmod(amount["value"], 100)
    sign = {"EUR": "€", "GBP": "£", "USD": "$"}.get(amount["currency"], amount["currency"])
    return f"{whole},{rest:02} {sign}" if lang == "de" else f"{sign} {whole}.{rest:02}"


def _document(lang: str, words: dict[str, str], body: str) -> str:
    return f"""<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{words["title"]}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<style>{STYLE}</style></head>
<body><header><p class="banner">{words["banner"]}</p></header><main>{body}</main></body></html>"""


def _see(target: str) -> Reply:
    return Reply(status=303, headers=(("location", target), ("cache-control", "no-store")))


def _html(status: int, text: str) -> Reply:
    headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"))
    return Reply(status=status, body=text.encode(), headers=headers)
