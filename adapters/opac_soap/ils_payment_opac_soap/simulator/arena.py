"""The words of Arena Web Services, as public programs know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ils_payment_opac_soap.simulator.voices import Call, Said, Voice, comma

if TYPE_CHECKING:
    from ils_payment.testing.books import Patron

_PATRON, _PAYMENTS = "urn:ils-payment:arena:patron", "urn:ils-payment:arena:payments"


class Arena(Voice):
    """Every question wants the PIN; a payment names fees only, and the whole sum in cents."""

    pays = "AddPayment"
    fails_with = ""
    """A word of its own for every answer that is no success, such as BackendError."""

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        return {"authenticatePatron": self._sign_in, "GetDebts": self._debts, "AddPayment": self._pay}

    def _status(self, *, ok: bool) -> dict[str, str]:
        if ok and not self.fails_with:
            return {"type": "ok", "message": ""}
        return {"type": "error", "message": self.fails_with or "PatronNotFound"}

    def _sign_in(self, call: Call) -> Said:
        card = call.first("authenticatePatronParam/user")
        ok = self.signed_in(card, call.first("authenticatePatronParam/password"))
        told: dict[str, Any] = {"status": self._status(ok=ok)}
        if ok:
            told["patronId"] = str(list(self.books.patrons).index(card) + 1)
        return Said("authenticatePatronResponse", {"authenticatePatronResult": told}, _PATRON)

    def _debts(self, call: Call) -> Said:
        card = call.first("debtsRequest/user")
        ok = self.signed_in(card, call.first("debtsRequest/password"))
        told: dict[str, Any] = {"status": self._status(ok=ok)}
        if ok and not self.fails_with:
            told["debts"] = {"debt": [_debt(fee) for fee in self.books.patrons[card].fees if fee.open]}
        return Said("GetDebtsResponse", {"debtsResponse": told}, _PAYMENTS)

    def _pay(self, call: Call) -> Said:
        ids = call.first("addPaymentRequest/debts/id").split(",")
        owner = self._owner(ids)
        ok = owner is not None and self.books.pay(
            owner.card,
            int(call.first("addPaymentRequest/paymentAmount")),
            at=call.now,
            marker=call.first("addPaymentRequest/orderId"),
            fee_ids=ids,
        )
        return Said("AddPaymentResponse", {"addPaymentResponse": {"status": self._status(ok=ok)}}, _PAYMENTS)

    def _owner(self, ids: list[str]) -> Patron | None:
        patrons = self.books.patrons.values()
        return next((one for one in patrons if set(ids) <= {fee.fee_id for fee in one.fees}), None)


def _debt(fee: Any) -> dict[str, str]:  # noqa: ANN401 - a fee
    return {
        "id": fee.fee_id,
        "debtDate": f"{fee.since:%Y-%m-%d}",
        "debtType": fee.kind,
        "debtNote": fee.text,
        # Its sign is lost here, and its decimals; only the text can be trusted.
        "debtAmount": str(abs(fee.open) // 100),
        "debtAmountFormatted": f"{comma(fee.open)} EUR",
    }
