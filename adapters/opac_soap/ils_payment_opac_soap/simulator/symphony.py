"""The words of Symphony Web Services, as far as its public documents show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ils_payment_opac_soap import tree
from ils_payment_opac_soap.simulator.voices import Call, Said, SOAPFaultError, Voice, point

if TYPE_CHECKING:
    from ils_payment.testing.books import OpenFee, Patron

_EXCEPTION = "ns0:com.sirsidynix.symws.service.exceptions.SecurityServiceException"
_BASE = "http://schemas.sirsidynix.com/symws/"


class Symphony(Voice):
    """Sessions in a header, several services, one bill at a time."""

    session_fault = f"{_EXCEPTION}.sessionTimedOut"
    pays = "RecordPaymentsRequest"
    staff = ("kasse", "demo-secret")

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        return {
            "LoginUserRequest": self._login,
            "LookupPatronInfoRequest": self._lookup,
            "RecordPaymentsRequest": self._pay,
        }

    def _admit(self, call: Call) -> None:
        if not tree.first(call.header, "SdHeader/clientID"):
            raise SOAPFaultError("ns0:Client")
        if tree.first(call.header, "SdHeader/sessionToken") not in self.sessions:
            raise SOAPFaultError(self.session_fault)

    def _login(self, call: Call) -> Said:
        login, password = call.first("login"), call.first("password")
        if (login, password) != self.staff and not self.signed_in(login, password):
            raise SOAPFaultError(f"{_EXCEPTION}.unableToLogin")
        content = {"userID": login, "sessionToken": self.new_session()}
        return Said("LoginUserResponse", content, f"{_BASE}security")

    def _lookup(self, call: Call) -> Said:
        self._admit(call)
        patron = self.patron(call.first("userID"))
        if patron is None:
            raise SOAPFaultError("ns0:com.sirsidynix.symws.service.exceptions.PatronServiceException.other")
        told: dict[str, Any] = {}
        if call.first("includePatronInfo") == "true":
            told["patronInfo"] = {"userID": patron.card, "displayName": patron.name}
        if call.first("includePatronStatusInfo") == "true":
            told["patronStatusInfo"] = {
                "datePrivilegeExpires": f"{patron.valid_until:%Y-%m-%d}",
                "routingAllowed": "true",
                "userHasAlerts": "false",
            }
        wanted = call.first("includeFeeInfo")
        if wanted:
            fees = [fee for fee in patron.fees if fee.open or wanted.startswith("ALL_FEES")]
            told["feeInfo"] = [self._fee(patron, fee, payments="PAYMENTS" in wanted) for fee in fees]
        return Said("LookupPatronInfoResponse", told, f"{_BASE}patron")

    def _fee(self, patron: Patron, fee: OpenFee, *, payments: bool) -> dict[str, Any]:
        paid = [one for one in patron.payments if fee.fee_id in one.applied]
        told: dict[str, Any] = {
            "billNumber": fee.fee_id[1:],
            "billReasonID": fee.kind,
            "billReasonDescription": fee.text,
            "amount": _money(fee.cents),
            "amountOutstanding": _money(fee.open),
            "dateBilled": f"{fee.since:%Y-%m-%d}",
            "numberOfPaymentsMade": str(len(paid)),
        }
        if payments:
            told["feePaymentInfo"] = [
                {
                    "transactionID": one.marker,
                    "paymentAmount": _money(one.applied[fee.fee_id]),
                    "paymentTypeID": one.payment_type,
                }
                for one in paid
            ]
        return told

    def _pay(self, call: Call) -> Said:
        self._admit(call)
        bill, card = call.first("billKey"), call.first("billUserID")
        cents = int(Decimal(call.first("feePayment/amount")).scaleb(2))
        done = self.books.pay(
            card,
            cents,
            at=call.now,
            marker=call.first("feePayment/vendorTransactionNumber"),
            payment_type=call.first("feePayment/paymentTypeID"),
            fee_ids=[f"G{bill}"],
            refuses_surplus=True,
        )
        if not done:
            told: dict[str, Any] = {"feePaymentProblem": {"billKey": bill, "problem": "billNotFound"}}
            return Said(
                "RecordPaymentsResponse", told | {"totalAmountRecorded": _money(0)}, f"{_BASE}circulation"
            )
        recorded = {"billKey": bill, "paymentTypeID": call.first("feePayment/paymentTypeID")}
        told = {"feePaymentRecorded": recorded | {"amountPaid": _money(cents)}}
        return Said(
            "RecordPaymentsResponse", told | {"totalAmountRecorded": _money(cents)}, f"{_BASE}circulation"
        )


def _money(cents: int) -> dict[str, str]:
    return {"@currency": "EUR", "#text": point(cents)}
