"""Shelf as a library system. Money moves in :meth:`ShelfSystem.settle` and nowhere else."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import requests
from pydantic import Field

from ils_payment.errors import (
    RemoteAbsentError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Binding,
    Finding,
    Level,
    MarkerSupport,
    NotApplied,
    Partial,
    PatronRef,
    Refused,
    Surplus,
    SystemCapabilities,
    Unavailable,
    Unclear,
)
from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import never_sent
from ils_payment_shelf import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import Account, Card, Credit, CreditOrder, Fee, SettleOutcome
    from ils_payment.ports import Host


class ShelfConfig(PluginConfig):
    """The table ``[libraries.KEY.library_system]`` of a library with Shelf."""

    url: str = Field(
        pattern=r"^https?://[^?#]+$",
        description="Address of Shelf's service.",
        examples=["https://shelf.library.example"],
    )
    token: Secret = Field(description="Token of the service account, made in Shelf under Settings, Accounts.")


class ShelfSystem:
    """The library system of one library with Shelf."""

    Config: ClassVar[type[PluginConfig]] = ShelfConfig

    def __init__(self, config: ShelfConfig, host: Host) -> None:
        self._config = config
        self._host = host

    def capabilities(self) -> SystemCapabilities:
        """Shelf refuses to credit a paid fee, and keeps our reference where it can be read again."""
        return SystemCapabilities(
            unattended_read=True,
            fee_ids=True,
            marker=MarkerSupport.READABLE,
            bound=Binding.REFUSED_WHEN_PAID,
            batch=True,
            partial=Partial.LINE,
            surplus=Surplus.REFUSED,
            credit_list=True,
            late_apply_max=timedelta(minutes=1),
            sign_in=True,
            repeat_is_same_answer=True,
        )

    def check(self) -> list[Finding]:
        """Ask for Shelf's own status with our token."""
        try:
            version = str(self._read("/status")["version"])
        except RemoteError as error:
            return [Finding(Level.ERROR, "Shelf", error.what, error.mend)]
        return [Finding(Level.OK, "Shelf", f"version {version} answers, the token is good")]

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Let Shelf compare card and PIN; it says 401 for every wrong pair."""
        try:
            answer = self._call("POST", "/login", {"card": card, "pin": pin})
            if answer.status_code == 401:
                return Refused()
            return PatronRef(str(self._content(answer)["patron"]))
        except RemoteError as error:
            return Unavailable(error.what)

    def find_patron(self, card: str) -> PatronRef | None:
        """Shelf finds by the whole number only."""
        found = self._read(f"/patrons?card={quote(card, safe='')}")["patrons"]
        return PatronRef(str(found[0])) if found else None

    def account(self, patron: PatronRef) -> Account:
        """Read the patron's open fees."""
        return wire.account(self._patron(patron), self._host.library.currency, self._host.now())

    def card(self, patron: PatronRef) -> Card:
        """Read card number, expiry and blocks."""
        return wire.card(self._patron(patron))

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Shelf's fees have no items; the capability says so and nobody calls this."""
        return {}

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Write the order's fees as paid: money moves here, once. Unclear is the default."""
        problem = wire.order_problem(order, self._host.library.currency)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        if order.send_before is not None and self._host.now() > order.send_before:
            return NotApplied(reason="shelf_not_sent_in_time")
        try:
            answer = self._send("POST", f"{_path(order.patron)}/payments", wire.payment(order))
        except requests.RequestException as error:
            if never_sent(error):
                return NotApplied(reason="shelf_not_reached")
            return Unclear(reason=f"shelf_{type(error).__name__}")
        try:
            return wire.settled(answer.status_code, _decode(answer), order)
        except RemoteGarbledError:
            return Unclear(reason=f"shelf_garbled_{answer.status_code}")

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Return the payments that carry our reference."""
        return [credit for credit in self._credits(patron) if credit.marker == marker]

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Return the newest payments first; Shelf keeps whole seconds and lists the oldest first."""
        whole = since.replace(microsecond=0)
        recent = [credit for credit in self._credits(patron) if credit.at is not None and credit.at >= whole]
        return recent[::-1]

    def _credits(self, patron: PatronRef) -> list[Credit]:
        return wire.credits_of(self._read(f"{_path(patron)}/payments"), self._host.library.currency)

    def _patron(self, patron: PatronRef) -> dict[str, Any]:
        return self._read(_path(patron))

    def _read(self, path: str) -> dict[str, Any]:
        return self._content(self._call("GET", path))

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """Ask a question that changes nothing; no exception of the transport crosses the door."""
        try:
            return self._send(method, path, body)
        except requests.RequestException as error:
            raise RemoteUnavailableError(
                f"Shelf cannot be reached ({type(error).__name__}).", mend="Is url right, and does Shelf run?"
            ) from None

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._config.token.get_secret_value()}"}
        with self._host.session() as session:
            return session.request(method, self._config.url.rstrip("/") + path, json=body, headers=headers)

    @staticmethod
    def _content(answer: requests.Response) -> dict[str, Any]:
        if answer.status_code in {401, 403}:
            raise RemoteRefusedError("Shelf does not accept the token.", mend="Make a new one in Shelf.")
        if answer.status_code == 404:
            raise RemoteAbsentError("Shelf has no such patron.", mend="Look the patron up in Shelf.")
        if answer.status_code >= 500:
            raise RemoteUnavailableError(
                f"Shelf answered {answer.status_code}.", mend="Look into Shelf's log."
            )
        if answer.status_code != 200:
            raise RemoteGarbledError(
                f"Shelf answered {answer.status_code}.", mend="Is url that of Shelf's service?"
            )
        return _decode(answer)


def _path(patron: PatronRef) -> str:
    """Return where Shelf has a patron, whatever stands in the reference."""
    return f"/patrons/{quote(patron, safe='')}"


def _decode(answer: requests.Response) -> dict[str, Any]:
    """Read JSON without ever making a float."""
    try:
        content = json.loads(answer.content, parse_float=Decimal)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RemoteGarbledError("Shelf's answer is no JSON object.", mend="Is url that of Shelf's service?")
    return content
