"""Signed notices on their way to the webhook, with the bad habits of the real thing.

Facts: JSON with ``live`` and ``notificationItems``; each item is signed over eight fields without any
time; retries after 9, 18 and 27 seconds, then after 2, 5, 10, 15, 30 minutes, 1, 2, 4 and 8 hours, for
thirty days. The real queue holds what follows back while a notice fails; here it does not.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ils_payment.model import RawRequest

RETRY_SECONDS = (9, 18, 27, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, *[28_800] * 88)


@dataclass(kw_only=True)
class Habits:
    """The bad habits of deliveries; each stays on until it is switched off.

    ``duplicate``: extra copies of each attempt. ``reorder``: newest first. ``delay_seconds``: before the
    first attempt. ``batch``: all that is due in one request. ``drop``: never delivered. ``tamper``: the
    amount changes after signing. ``unsigned``: without a signature. ``sign_with``: another HMAC key.
    ``flip_live``: test says live. ``account``: another merchant account than the configured one.
    ``echo_payment_reference``: a refund's notices carry the payment's reference, not the refund's.
    ``offer_closed``: whether the event is switched on.
    """

    duplicate: int = 0
    reorder: bool = False
    delay_seconds: float = 0
    batch: bool = False
    drop: bool = False
    tamper: bool = False
    unsigned: bool = False
    sign_with: str = ""
    flip_live: bool = False
    account: str = ""
    echo_payment_reference: bool = False
    offer_closed: bool = True


@dataclass(kw_only=True)
class Delivery:
    """One item on its way; ``answers`` has a status per attempt (None: no answer)."""

    item: dict[str, Any]
    due: datetime | None
    answers: list[int | None] = field(default_factory=list)
    state: str = "waiting"

    def as_truth(self) -> dict[str, Any]:
        """Return what a test compares."""
        return {
            "code": self.item["eventCode"],
            "psp": self.item["pspReference"],
            "reference": self.item["merchantReference"],
            "success": self.item["success"],
            "state": self.state,
            "answers": list(self.answers),
        }


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One attempt, ready to be sent: exact body and headers."""

    deliveries: tuple[Delivery, ...]
    body: bytes
    headers: dict[str, str]

    def raw_request(self, path: str = "/webhooks/library/adyen") -> RawRequest:
        """Return the parcel as it reaches the product."""
        lower = {name.lower(): value for name, value in self.headers.items()}
        return RawRequest(method="POST", path=path, headers=lower, body=self.body)


def signature(item: dict[str, Any], key: str) -> str:
    """Sign *item* as Adyen does; written apart from the product's own code, so that one proves the other."""
    amount = item["amount"]
    parts = [item["pspReference"], item.get("originalReference", ""), item["merchantAccountCode"]]
    parts += [item["merchantReference"], str(amount["value"]), amount["currency"]]
    text = ":".join([*parts, item["eventCode"], item["success"]])
    return base64.b64encode(hmac.digest(bytes.fromhex(key), text.encode(), hashlib.sha256)).decode()


class Outbox:
    """All deliveries to one webhook. The caller holds the simulator's lock."""

    def __init__(
        self,
        key: str,
        url: str | None,
        auth: tuple[str, str] | None,
        retry_seconds: tuple[float, ...],
        *,
        live: bool,
    ) -> None:
        """Start empty."""
        self.key = key
        self.url = url
        self.auth = auth
        self.retry_seconds = retry_seconds
        self.live = live
        self.habits = Habits()
        self.deliveries: list[Delivery] = []
        self.wake = threading.Event()

    def add(self, item: dict[str, Any], now: datetime) -> None:
        """Put *item* on its way."""
        delivery = Delivery(item=item, due=now + timedelta(seconds=self.habits.delay_seconds))
        if self.habits.drop:
            delivery.state, delivery.due = "dropped", None
        self.deliveries.append(delivery)
        self.wake.set()

    def take_due(self, now: datetime) -> list[Parcel]:
        """Take everything that is due; what is never reported back is never sent again."""
        due = [one for one in self.deliveries if one.state == "waiting" and one.due and one.due <= now]
        if self.habits.reorder:
            due.reverse()
        for one in due:
            one.state = "sent"
        groups = [tuple(due)] if self.habits.batch and due else [(one,) for one in due]
        return [self._parcel(group) for group in groups for _ in range(1 + self.habits.duplicate)]

    def _parcel(self, group: tuple[Delivery, ...]) -> Parcel:
        live = self.live is not self.habits.flip_live
        items = [{"NotificationRequestItem": self._signed(one.item)} for one in group]
        body = json.dumps(
            {"live": str(live).lower(), "notificationItems": items}, ensure_ascii=False
        ).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Adyen HttpClient 1.0"}
        if self.auth:
            token = base64.b64encode(":".join(self.auth).encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        return Parcel(deliveries=group, body=body, headers=headers)

    def _signed(self, item: dict[str, Any]) -> dict[str, Any]:
        sent = copy.deepcopy(item)
        if self.habits.account:
            sent["merchantAccountCode"] = self.habits.account
        more = sent.setdefault("additionalData", {})
        if not self.habits.unsigned:
            more["hmacSignature"] = signature(sent, self.habits.sign_with or self.key)
        if self.habits.tamper:
            sent["amount"]["value"] += 1
        return sent

    def answered(self, parcel: Parcel, status: int | None, now: datetime) -> None:
        """Note what the endpoint said; anything but a 2xx is tried again later."""
        for delivery in parcel.deliveries:
            delivery.answers.append(status)
            if delivery.state == "delivered":
                continue
            if status is not None and 200 <= status < 300:
                delivery.state, delivery.due = "delivered", None
            elif len(delivery.answers) > len(self.retry_seconds):
                delivery.state, delivery.due = "given_up", None
            else:
                delivery.state = "waiting"
                wait = self.retry_seconds[len(delivery.answers) - 1]
                delivery.due = now + timedelta(seconds=wait)
                self.wake.set()
