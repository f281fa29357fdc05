"""What happens to a session outside the API: the payer, the payer's bank, the clock, the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator import balance
from ils_payment_stripe.simulator.objects import new_charge, new_dispute, new_intent, new_refund
from ils_payment_stripe.simulator.refusal import NotPayableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ils_payment_stripe.simulator.book import Book, Thing


class Payer:
    """Actions on sessions by id; each raises :class:`NotPayableError` where it cannot happen."""

    book: Book

    # --- on the hosted page -------------------------------------------------------------------

    def pay(self, session_id: str, method: str = "card") -> None:
        """Pay at once and in full."""
        with self.book.lock:
            session = self._open(session_id, method)
            self._collect(session, self._intent(session), method)
            self._complete(session, "paid")

    def pay_pending(
        self, session_id: str, method: str = "pay_by_bank", *, outcome: bool | None = None
    ) -> None:
        """Finish the page with a payment that the bank decides later.

        *outcome* true or false decides by itself after the account's ``pending_seconds``; None
        waits for :meth:`succeed_pending` or :meth:`fail_pending`.
        """
        with self.book.lock:
            session = self._open(session_id, method)
            intent = self._intent(session)
            intent.update(status="processing", payment_method_types=[method])
            self.book.emit("payment_intent.processing", intent)
            due = None if outcome is None else self.book.seconds() + self.book.account.pending_seconds
            self.book.pending[session_id] = (due, bool(outcome))
            self._complete(session, "unpaid")

    def decline(self, session_id: str, method: str = "card") -> None:
        """Let one try fail: the session stays open and the payer may try again."""
        with self.book.lock:
            session = self._open(session_id, method)
            self._fail(self._intent(session), method)

    def pay_other_amount(self, session_id: str, cents: int, method: str = "card") -> None:
        """Pay a sum that nobody asked for (Stripe does not do so; the core has to notice it all the same)."""
        with self.book.lock:
            session = self._open(session_id, method)
            intent = self._intent(session)
            session.update(amount_total=cents, amount_subtotal=cents)
            intent["amount"] = cents
            self._collect(session, intent, method)
            self._complete(session, "paid")

    def pay_other_currency(
        self, session_id: str, currency: str, cents: int, method: str = "card", *, forced: bool = False
    ) -> None:
        """Pay in *currency*, as adaptive pricing lets a payer.

        Since API 2025-03-31 the session keeps its own currency and sum, and the payer's are in
        ``presentment_details`` (read in the SDK's types). Not offered where the session switched
        adaptive pricing off, unless *forced*: then session and intent themselves are in the
        other currency, which Stripe does not do and the core has to notice.
        """
        with self.book.lock:
            session = self._open(session_id, method)
            if not forced and not session["adaptive_pricing"]["enabled"]:
                raise NotPayableError("adaptive pricing is off for this session")
            intent = self._intent(session)
            if forced:
                session.update(currency=currency, amount_total=cents, amount_subtotal=cents)
                intent.update(currency=currency, amount=cents)
            else:
                details = {"presentment_amount": cents, "presentment_currency": currency}
                session["presentment_details"] = details
                intent["presentment_details"] = dict(details)
            self._collect(session, intent, method)
            self._complete(session, "paid")

    # --- the payer's bank ---------------------------------------------------------------------

    def succeed_pending(self, session_id: str) -> None:
        """The bank pays."""
        with self.book.lock:
            session = self._decided(session_id)
            intent = self.book.intents[session["payment_intent"]]
            self._collect(session, intent, intent["payment_method_types"][0])
            session["payment_status"] = "paid"
            self.book.emit("checkout.session.async_payment_succeeded", session)

    def fail_pending(self, session_id: str) -> None:
        """The bank does not pay: the session stays complete and unpaid for good."""
        with self.book.lock:
            session = self._decided(session_id)
            intent = self.book.intents[session["payment_intent"]]
            self._fail(intent, intent["payment_method_types"][0])
            self.book.emit("checkout.session.async_payment_failed", session)

    def pay_after_expiry(
        self, session_id: str, method: str = "pay_by_bank", *, status: str = "complete"
    ) -> None:
        """Money arrives for a session that has expired already.

        *status* is what the session shows afterwards: nothing published says whether a late
        success leaves it ``expired``, so a test can try both.
        """
        with self.book.lock:
            session = self.book.sessions[session_id]
            if session["status"] != "expired":
                raise NotPayableError(f"session {session_id} is {session['status']}, not expired")
            self._collect(session, self._intent(session), method)
            session.update(status=status, payment_status="paid")
            self.book.emit("checkout.session.completed", session)

    # --- the clock ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Let everything happen that is due by the world's clock."""
        with self.book.lock:
            self.expire_due()
            now = self.book.seconds()
            for session_id, (due, success) in list(self.book.pending.items()):
                if due is not None and due <= now:
                    (self.succeed_pending if success else self.fail_pending)(session_id)
            for refund_id in [key for key, due in self.book.refunds_due.items() if due <= now]:
                self.finish_refund(refund_id)
            balance.pay_out_due(self.book)

    def expire_due(self) -> None:
        """Expire every open session whose time is over."""
        with self.book.lock:
            now = self.book.seconds()
            for session in list(self.book.sessions.values()):
                if session["status"] == "open" and session["expires_at"] <= now:
                    self.expire(session)

    def expire(self, session: Thing, cause: Mapping[str, str | None] | None = None) -> None:
        """End an open session; an intent that a failed try has left is canceled with it."""
        session.update(status="expired", url=None)
        intent = self.book.intents.get(session["payment_intent"] or "")
        if intent:
            intent.update(status="canceled", canceled_at=self.book.seconds())
            self.book.emit("payment_intent.canceled", intent, cause)
        self.book.emit("checkout.session.expired", session, cause)

    # --- the dashboard and the card schemes ---------------------------------------------------

    def refund_in_dashboard(self, session_id: str, cents: int | None = None) -> str:
        """Give money back as a person does in Stripe's dashboard; return the refund's id."""
        with self.book.lock:
            charge = self._charge_of(session_id)
            rest = charge["amount"] - charge["amount_refunded"]
            wanted = rest if cents is None else cents
            if not 1 <= wanted <= rest:
                raise NotPayableError(f"{wanted} cents cannot be refunded, {rest} are left")
            return str(self.refund(charge, wanted, {})["id"])

    def refund(
        self, charge: Thing, cents: int, wish: dict[str, Any], cause: Mapping[str, str | None] | None = None
    ) -> Thing:
        """Make one refund of *charge*; pending where the method needs time, otherwise done at once."""
        book = self.book
        method = charge["payment_method_details"]["type"]
        refund = new_refund(book, charge, cents, wish)
        refund["status"] = "pending" if method in book.account.pending_refunds else "succeeded"
        if refund["status"] == "pending":
            refund["pending_reason"] = "processing"
            if book.account.refund_seconds is not None:
                book.refunds_due[refund["id"]] = book.seconds() + book.account.refund_seconds
        book.refunds[refund["id"]] = refund
        balance.give_back(book, refund)
        self._count_refunds(charge)
        book.emit("refund.created", refund, cause)
        book.emit("charge.refunded", charge, cause)
        return refund

    def finish_refund(self, refund_id: str, *, success: bool = True) -> None:
        """Decide a refund; one that fails, be it days after it succeeded, brings the money back."""
        with self.book.lock:
            refund = self.book.refunds[refund_id]
            self.book.refunds_due.pop(refund_id, None)
            if refund["status"] in {"failed", "canceled"}:
                raise NotPayableError(f"refund {refund_id} has {refund['status']} already")
            refund.pop("pending_reason", None)
            refund["status"] = "succeeded" if success else "failed"
            if not success:
                refund["failure_reason"] = "expired_or_canceled_card"
                balance.take_back(self.book, refund)
                self._count_refunds(self.book.charges[refund["charge"]])
            self.book.emit("refund.updated", refund)
            if not success:
                self.book.emit("refund.failed", refund)

    def dispute(self, session_id: str, *, reason: str = "fraudulent") -> str:
        """Let the payer's bank take the money back; return the dispute's id."""
        with self.book.lock:
            charge = self._charge_of(session_id)
            dispute = new_dispute(self.book, charge, reason)
            charge["disputed"] = True
            self.book.disputes[dispute["id"]] = dispute
            balance.withdraw(self.book, dispute)
            self.book.emit("charge.dispute.created", dispute)
            self.book.emit("charge.dispute.funds_withdrawn", dispute)
            return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """Decide a dispute; a won one brings the money back."""
        with self.book.lock:
            dispute = self.book.disputes[dispute_id]
            dispute["status"] = "won" if won else "lost"
            self.book.emit("charge.dispute.updated", dispute)
            self.book.emit("charge.dispute.closed", dispute)
            if won:
                balance.reinstate(self.book, dispute)
                self.book.emit("charge.dispute.funds_reinstated", dispute)

    def adjust(
        self, cents: int, *, kind: str = "adjustment", category: str = "other_adjustment", fee: int = 0
    ) -> str:
        """Let Stripe book something of its own (``stripe_fee`` and ``fee``: a bill); return its id."""
        with self.book.lock:
            return str(balance.record(self.book, None, kind, category, cents, fee)["id"])

    def pay_out_manually(self, cents: int) -> str:
        """Pay *cents* out by hand in the dashboard; Stripe then assigns no transactions to it."""
        with self.book.lock:
            book = self.book
            today = balance.midnight(book.seconds())
            payout = balance.new_payout(
                book, cents, today, book.account.currency, live=book.mode, automatic=False
            )
            return str(payout["id"])

    # --- steps --------------------------------------------------------------------------------

    def _open(self, session_id: str, method: str) -> Thing:
        self.tick()
        session = self.book.sessions[session_id]
        if session["status"] != "open":
            raise NotPayableError(f"session {session_id} is {session['status']}")
        if method not in session["payment_method_types"]:
            raise NotPayableError(f"session {session_id} does not offer {method}")
        return session

    def _decided(self, session_id: str) -> Thing:
        if self.book.pending.pop(session_id, None) is None:
            raise NotPayableError(f"session {session_id} has no pending payment")
        return self.book.sessions[session_id]

    def _charge_of(self, session_id: str) -> Thing:
        intent = self.book.intents.get(self.book.sessions[session_id]["payment_intent"] or "")
        if not intent or intent["status"] != "succeeded":
            raise NotPayableError(f"session {session_id} has taken no money")
        return self.book.charges[intent["latest_charge"]]

    def _intent(self, session: Thing) -> Thing:
        """Return the session's intent, which arises with the payer's first try."""
        if session["payment_intent"]:
            return self.book.intents[session["payment_intent"]]
        intent = new_intent(self.book, session, self.book.intent_data[session["id"]])
        self.book.intents[intent["id"]] = intent
        session["payment_intent"] = intent["id"]
        self.book.emit("payment_intent.created", intent)
        return intent

    def _collect(self, session: Thing, intent: Thing, method: str) -> None:
        charge = new_charge(self.book, intent, method)
        self.book.charges[charge["id"]] = charge
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            latest_charge=charge["id"],
            last_payment_error=None,
            canceled_at=None,
            payment_method=charge["payment_method"],
        )
        session["customer_details"] = {**charge["billing_details"], "tax_exempt": "none", "tax_ids": []}
        balance.collect(self.book, charge)
        self.book.emit("charge.succeeded", charge)
        self.book.emit("payment_intent.succeeded", intent)

    def _fail(self, intent: Thing, method: str) -> None:
        code, text = ("card_declined", "Your card was declined.")
        if method != "card":
            code, text = ("payment_intent_payment_attempt_failed", "The bank did not carry out the payment.")
        error = {"type": "card_error" if method == "card" else "invalid_request_error", "code": code}
        intent.update(status="requires_payment_method", last_payment_error={**error, "message": text})
        self.book.emit("payment_intent.payment_failed", intent)

    def _complete(self, session: Thing, payment_status: str) -> None:
        session.update(status="complete", payment_status=payment_status, url=None)
        self.book.emit("checkout.session.completed", session)

    def _count_refunds(self, charge: Thing) -> None:
        counted = [
            one for one in self.book.refunds_of(charge["id"]) if one["status"] not in {"failed", "canceled"}
        ]
        charge["amount_refunded"] = sum(one["amount"] for one in counted)
        charge["refunded"] = charge["amount_refunded"] >= charge["amount"]
