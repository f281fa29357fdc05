"""Walks the patron's journey as a browser without JavaScript would: forms, cookies, redirects."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests

from ils_payment.errors import ILSPaymentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REDIRECTS = 10


class JourneyError(ILSPaymentError):
    """A page was not what the journey expects."""


@dataclass(slots=True)
class PageForm:
    """One form: where it goes, and what a browser would send if nobody touched it."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)
    """Check boxes, radio buttons and named submit buttons: sent only when chosen."""


@dataclass(slots=True)
class Page:
    """One page as it was received after all redirects."""

    url: str
    forms: list[PageForm]
    state: str

    def form_with(self, name: str) -> PageForm:
        """Return the first form that has a field *name*."""
        for form in self.forms:
            if any(name == known for known, _ in form.fields + form.choices):
                return form
        raise JourneyError(f"The page {urlsplit(self.url).path} has no form with {name!r}.")


class _Reader(HTMLParser):
    """Collects forms, and the state that a status page carries."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.state = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(given.get("action", ""), given.get("method", "get").lower()))
        if "data-state" in given:
            self.state = given["data-state"].split()[0]
        if tag not in {"input", "button"} or "name" not in given or not self.forms:
            return
        pair = (given["name"], given.get("value", ""))
        chosen = tag == "button" or given.get("type") in {"checkbox", "radio"}
        (self.forms[-1].choices if chosen else self.forms[-1].fields).append(pair)


class Browser:
    """A visitor with cookies of its own."""

    def __init__(self, session: requests.Session) -> None:
        """Use *session*, which follows no redirects by itself."""
        # With the limit 0 requests refuses the first redirect instead of handing it over.
        session.max_redirects = _REDIRECTS
        self._session = session

    def open(self, url: str) -> Page:
        """Open an address and follow where it leads."""
        return self._send("GET", url)

    def submit(
        self, page: Page, form: PageForm, values: Mapping[str, str], choices: Sequence[tuple[str, str]]
    ) -> Page:
        """Send *form* with *values* typed in and *choices* made."""
        pairs = [(name, values.get(name, value)) for name, value in form.fields] + list(choices)
        target = urljoin(page.url, form.action)
        if form.method == "post":
            return self._send("POST", target, data=pairs)
        return self._send("GET", target, params=pairs)

    def _send(self, method: str, url: str, **content: Any) -> Page:  # noqa: ANN401 - arguments of requests
        try:
            response = self._session.request(method, url, **content)
            for _ in range(_REDIRECTS):
                if not response.is_redirect:
                    break
                url = urljoin(url, response.headers["location"])
                response = self._session.get(url)
        except requests.RequestException as error:
            raise JourneyError(
                f"The page {urlsplit(url).path} gave no answer: {type(error).__name__}."
            ) from error
        if response.status_code != 200:
            raise JourneyError(f"The page {urlsplit(url).path} answered {response.status_code}.")
        reader = _Reader()
        reader.feed(response.text)
        return Page(response.url, reader.forms, reader.state)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the journey chose, and the provider's page on which it is paid."""

    page: Page
    fees: tuple[str, ...]
    cents: int
    until: str = ""
    """The new expiry of the card, where a renewal was chosen."""


def confirm_everything(browser: Browser, address: str, card: str, pin: str) -> Confirmed:
    """Sign in, choose every payable fee and a renewal that is offered, confirm, arrive at the provider."""
    page = browser.open(address)
    page = browser.submit(page, page.form_with("pin"), {"card": card, "pin": pin}, [])
    form = page.form_with("fee")
    boxes = [choice for choice in form.choices if choice[0] in {"fee", "until"}]
    page = browser.submit(page, form, {}, [*boxes, ("method", "card")])
    form = page.form_with("expected")
    cents = int(dict(form.fields)["expected"])
    fees = tuple(value for name, value in boxes if name == "fee")
    return Confirmed(browser.submit(page, form, {}, []), fees, cents, dict(boxes).get("until", ""))


def pay_by_card(browser: Browser, page: Page) -> Page:
    """Pay on the provider's page, which offers cards first; return the status page.

    Where the provider shows its own page afterwards, a button on it leads on.
    """
    after = browser.submit(page, page.form_with("action"), {}, [("action", "pay")])
    if not after.state and after.forms:
        after = browser.submit(after, after.forms[0], {}, [])
    return after
