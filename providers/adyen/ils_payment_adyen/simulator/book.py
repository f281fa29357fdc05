"""The simulated account's books, and the hands of payer, bank, back office and clock."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

    from ils_payment.testing.simulator import SimulatorWorld
    from ils_payment_adyen.simulator.outbox import Outbox

Thing = dict[str, Any]
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"


class NotPayableError(Exception):
    """The page is over, or was paid on already."""


class Book:
    """Pages (links and sessions), payments and refunds; every change that Adyen tells of sends a notice."""

    def __init__(
        self,
        world: SimulatorWorld,
        lock: threading.RLock,
        outbox: Outbox,
        *,
        account: str,
        seed: int,
        refund_seconds: float | None,
        pending_seconds: float,
    ) -> None:
        """Start empty."""
        self.world = world
        self.lock = lock
        self.account = account
        self.offered: tuple[str, ...] = ("scheme", "paybybank", "trustly")
        self.refund_seconds = refund_seconds
        self.pending_seconds = pending_seconds
        self.pages: dict[str, Thing] = {}
        self.payments: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self._outbox = outbox
        self._seed = seed
        self._count = 0

    def new_id(self, prefix: str = "") -> str:
        """Return a reference of 16 characters; the same ones in each run of the same seed."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}:{self._count}".encode()).digest()
        return prefix + "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[: 16 - len(prefix)])

    # --- pages ----------------------------------------------------------------------------------

    def open_page(self, kind: str, wanted: Thing, url: str) -> Thing:
        """Make a payment link or a session of what the API was asked for."""
        now = self.world.now()
        ref = self.new_id("PL" if kind == "link" else "CS")
        default = timedelta(hours=24 if kind == "link" else 1)
        page: Thing = {
            "kind": kind,
            "id": ref,
            "wanted": wanted,
            "url": f"{url}/pay/{ref}",
            "status": "active",
            "expires_at": wanted.get("expiresAt") or (now + default).isoformat(timespec="seconds"),
            "payments": [],
            "result": "",
            "result_status": "",
        }
        self.pages[ref] = page
        return page

    def tick(self) -> None:
        """Let what time brings about happen: pages end, banks confirm, refunds go through."""
        now = self.world.now()
        with self.lock:
            for page in self.pages.values():
                if page["status"] == "active" and datetime.fromisoformat(page["expires_at"]) <= now:
                    self._end(page)
            for psp, payment in list(self.payments.items()):
                if payment["status"] == "pending" and payment["due"] <= now.isoformat():
                    self.confirm(psp, success=payment["outcome"])
            for psp, refund in list(self.refunds.items()):
                if refund["status"] == "received" and refund["due"] and refund["due"] <= now.isoformat():
                    self.finish_refund(psp)

    def _end(self, page: Thing) -> None:
        page["status"] = "expired"
        if self._outbox.habits.offer_closed:
            # Unverified: Adyen tells of offers, which arise when a payer has chosen a method.
            self._tell("OFFER_CLOSED", self.new_id(), page["wanted"])

    def expire(self, ref: str) -> bool:
        """Let a link end before its time; False when it is over already."""
        with self.lock:
            page = self.pages[ref]
            if page["status"] != "active":
                return False
            page["status"] = "expired"
            return True

    # --- the payer's and the bank's hands ---------------------------------------------------------

    def pay(self, ref: str, method: str = "scheme", *, twice: bool = False, cents: int | None = None) -> str:
        """Pay on a page; return Adyen's reference. *twice*: although it was paid; *cents*: another amount."""
        with self.lock:
            psp = self._try(ref, method, "authorised", twice=twice, cents=cents)
            page = self.pages[ref]
            page["status"] = "completed"
            self._come_back(page)
            self._tell("AUTHORISATION", psp, page["wanted"], cents=cents, method=method)
            return psp

    def decline(self, ref: str, method: str = "scheme") -> str:
        """Let a try fail; the page stays open."""
        with self.lock:
            psp = self._try(ref, method, "refused")
            wanted = self.pages[ref]["wanted"]
            self._tell("AUTHORISATION", psp, wanted, success=False, method=method, reason="Refused")
            return psp

    def pay_later(self, ref: str, method: str = "trustly", *, success: bool = True) -> str:
        """Pay in a way that the bank confirms, or refuses, after a while."""
        with self.lock:
            psp = self._try(ref, method, "pending")
            due = self.world.now() + timedelta(seconds=self.pending_seconds)
            self.payments[psp] |= {"due": due.isoformat(), "outcome": success}
            page = self.pages[ref]
            page["status"] = "paymentPending"
            self._come_back(page)
            return psp

    def confirm(self, psp: str, *, success: bool) -> None:
        """Let the bank say what became of a pending payment."""
        with self.lock:
            payment = self.payments[psp]
            page = self.pages[payment["page"]]
            payment["status"] = "authorised" if success else "refused"
            page["status"] = "completed" if success else "active"
            self._tell("AUTHORISATION", psp, page["wanted"], success=success, method=payment["method"])

    def leave(self, ref: str) -> None:
        """Go back without paying."""
        with self.lock:
            page = self.pages[ref]
            page["result_status"] = "canceled"
            page["result"] = self._token(page)

    def _try(
        self, ref: str, method: str, status: str, *, twice: bool = False, cents: int | None = None
    ) -> str:
        page = self.pages[ref]
        if page["status"] != "active" and not twice:
            raise NotPayableError(ref)
        amount = page["wanted"]["amount"]
        psp = self.new_id()
        self.payments[psp] = {
            "page": ref,
            "reference": page["wanted"]["reference"],
            "cents": amount["value"] if cents is None else cents,
            "currency": amount["currency"],
            "method": method,
            "status": status,
        }
        page["payments"].append(psp)
        return psp

    def _come_back(self, page: Thing) -> None:
        """Fix what the session's result says: it is never updated (documented)."""
        page["result_status"] = page["status"]
        page["result"] = self._token(page)

    def _token(self, page: Thing) -> str:
        """Return a result with the characters that have to be encoded in an address."""
        return f"X3Xtf+{page['id']}/{page['result_status']}=="

    # --- money that leaves again --------------------------------------------------------------------

    def refund(self, psp: str, cents: int, reference: str) -> str:
        """Take a refund as asked for; what becomes of it shows later."""
        ref = self.new_id()
        due = None
        if self.refund_seconds is not None:
            due = (self.world.now() + timedelta(seconds=self.refund_seconds)).isoformat()
        self.refunds[ref] = {
            "payment": psp,
            "cents": cents,
            "reference": reference,
            "status": "received",
            "due": due,
        }
        return ref

    def finish_refund(self, ref: str, *, success: bool = True) -> None:
        """Let a refund go through or be refused."""
        with self.lock:
            self.refunds[ref]["status"] = "refunded" if success else "refused"
            self._tell_refund("REFUND", ref, success=success)

    def refund_comes_back(self, ref: str, code: str = "REFUND_FAILED") -> None:
        """Let a refund that went through come back (REFUND_FAILED or REFUNDED_REVERSED)."""
        with self.lock:
            self.refunds[ref]["status"] = "came_back"
            self._tell_refund(code, ref)

    def _tell_refund(self, code: str, ref: str, *, success: bool = True) -> None:
        refund = self.refunds[ref]
        reference = refund["reference"]
        if self._outbox.habits.echo_payment_reference:
            reference = self.payments[refund["payment"]]["reference"]
        self.tell(code, ref, refund["payment"], cents=refund["cents"], reference=reference, success=success)

    def charge_back(self, psp: str, cents: int | None = None) -> str:
        """Let the payer's bank take money back; return the dispute's reference, which all its events have."""
        with self.lock:
            dispute = self.new_id()
            for code in ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK"):
                self.tell(code, dispute, psp, cents=cents)
            return dispute

    def tell(
        self,
        code: str,
        psp: str,
        original: str,
        *,
        cents: int | None = None,
        reference: str | None = None,
        success: bool = True,
    ) -> None:
        """Send a notice about a payment, as the back office or a bank would cause it."""
        with self.lock:
            payment = self.payments[original]
            wanted = {
                "amount": {"value": payment["cents"], "currency": payment["currency"]},
                "reference": payment["reference"] if reference is None else reference,
            }
            self._tell(
                code, psp, wanted, original=original, cents=cents, success=success, method=payment["method"]
            )

    def _tell(
        self,
        code: str,
        psp: str,
        wanted: Thing,
        *,
        original: str = "",
        cents: int | None = None,
        success: bool = True,
        method: str = "",
        reason: str = "",
    ) -> None:
        now = self.world.now()
        item = {
            "amount": {
                "currency": wanted["amount"]["currency"],
                "value": wanted["amount"]["value"] if cents is None else cents,
            },
            "eventCode": code,
            "eventDate": now.isoformat(timespec="seconds"),
            "merchantAccountCode": self.account,
            "merchantReference": wanted["reference"],
            "paymentMethod": {"scheme": "visa"}.get(method, method),
            "pspReference": psp,
            "reason": reason,
            "success": str(success).lower(),
        }
        if original:
            item["originalReference"] = original
        self._outbox.add(item, now)

    # --- sums ---------------------------------------------------------------------------------------

    def captured(self) -> dict[str, int]:
        """Return the cents that were taken, by currency."""
        sums: dict[str, int] = {}
        for one in self.payments.values():
            if one["status"] == "authorised":
                sums[one["currency"]] = sums.get(one["currency"], 0) + one["cents"]
        return sums

    def refunded(self) -> int:
        """Return the cents that were given back for good."""
        return sum(one["cents"] for one in self.refunds.values() if one["status"] == "refunded")
