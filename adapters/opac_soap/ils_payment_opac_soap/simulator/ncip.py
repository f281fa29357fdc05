"""The words of an NCIP 2.02 responder, after the public schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ils_payment_opac_soap import tree
from ils_payment_opac_soap.simulator.voices import Call, Said, Voice

if TYPE_CHECKING:
    from ils_payment.testing.books import Books, Patron

_BLOCK = "Block Check Out"
_NAMESPACE = "http://www.niso.org/2008/ncip"


class NCIP(Voice):
    """Documents without an envelope; problems are answers like any other."""

    root = "NCIPMessage"
    pays = "CreateUserFiscalTransaction"

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.shows_empty_accounts = True
        """Whether somebody who owes nothing has an account, too; the schema leaves it open."""
        self.expiries: dict[str, list[date]] = {}

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        return {
            "LookupUser": self._lookup,
            "CreateUserFiscalTransaction": self._pay,
            "UpdateUser": self._update,
        }

    def _lookup(self, call: Call) -> Said:
        card = call.first("UserId/UserIdentifierValue")
        inputs = tree.find(call.content, "AuthenticationInput")
        if inputs:
            given = {
                tree.first(one, "AuthenticationInputType"): tree.first(one, "AuthenticationInputData")
                for one in inputs
            }
            card = given.get("UserId", "")
            if not self.signed_in(card, given.get("Password", "")):
                return _problem("LookupUser", "User Authentication Failed")
        patron = self.patron(card)
        if patron is None:
            return _problem("LookupUser", "Unknown User")
        told: dict[str, Any] = {"UserId": {"AgencyId": "LINDENTAL", "UserIdentifierValue": patron.card}}
        wanted = tree.find(call.content, "UserFiscalAccountDesired")
        if wanted and (self.shows_empty_accounts or patron.balance):
            told["UserFiscalAccount"] = _account(patron)
        if tree.find(call.content, "UserElementType"):
            told["UserOptionalFields"] = _optional(patron)
        return Said("LookupUserResponse", told, _NAMESPACE)

    def _pay(self, call: Call) -> Said:
        card = call.first("UserId/UserIdentifierValue")
        if self.patron(card) is None:
            return _problem("CreateUserFiscalTransaction", "Unknown User")
        path = "FiscalTransactionInformation"
        done = self.books.pay(
            card,
            int(call.first(f"{path}/Amount/MonetaryValue")),
            at=call.now,
            marker=call.first(f"{path}/FiscalTransactionDescription"),
            payment_type=call.first(f"{path}/PaymentMethodType"),
            fee_ids=[
                call.first(f"{path}/RelatedFiscalTransactionReferenceId/FiscalTransactionIdentifierValue")
            ],
        )
        if not done:
            return _problem("CreateUserFiscalTransaction", "Unknown Element")
        number = f"Z{len(self.books.patrons[card].payments)}"
        told = {
            "UserId": {"AgencyId": "LINDENTAL", "UserIdentifierValue": card},
            "FiscalTransactionReferenceId": {
                "AgencyId": "LINDENTAL",
                "FiscalTransactionIdentifierValue": number,
            },
        }
        return Said("CreateUserFiscalTransactionResponse", told, _NAMESPACE)

    def _update(self, call: Call) -> Said:
        card = call.first("UserId/UserIdentifierValue")
        patron = self.patron(card)
        if patron is None:
            return _problem("UpdateUser", "Unknown User")
        until = call.first("AddUserFields/UserPrivilege/ValidToDate")
        if until:
            patron.valid_until = date.fromisoformat(until)
            self.expiries.setdefault(card, []).append(patron.valid_until)
        if call.first("DeleteUserFields/BlockOrTrap/BlockOrTrapType") == _BLOCK:
            patron.flags = " " * 14
        told = {"UserId": {"AgencyId": "LINDENTAL", "UserIdentifierValue": card}}
        return Said("UpdateUserResponse", told, _NAMESPACE)


def _problem(name: str, kind: str) -> Said:
    told = {"Problem": {"ProblemType": kind, "ProblemDetail": "", "ProblemElement": "NULL"}}
    return Said(f"{name}Response", told, _NAMESPACE)


def _money(cents: int) -> dict[str, str]:
    return {"CurrencyCode": "EUR", "MonetaryValue": str(cents)}


def _account(patron: Patron) -> dict[str, Any]:
    """Return the fees that are open, and the payments, in the one list that the standard has."""
    lines = [
        {
            "AccrualDate": f"{fee.since:%Y-%m-%d}T00:00:00Z",
            "FiscalTransactionInformation": {
                "FiscalActionType": "Assess",
                "FiscalTransactionReferenceId": {
                    "AgencyId": "LINDENTAL",
                    "FiscalTransactionIdentifierValue": fee.fee_id,
                },
                "FiscalTransactionType": fee.kind,
                "ValidFromDate": f"{fee.since:%Y-%m-%d}",
                "Amount": _money(fee.open),
                "FiscalTransactionDescription": fee.text,
            },
        }
        for fee in patron.fees
        if fee.open
    ]
    lines += [
        {
            "AccrualDate": f"{paid.at:%Y-%m-%dT%H:%M:%SZ}",
            "FiscalTransactionInformation": {
                "FiscalActionType": "Payment",
                "FiscalTransactionType": "Payment",
                "Amount": _money(paid.cents),
            },
        }
        for paid in patron.payments
    ]
    return {"AccountBalance": _money(patron.balance), "AccountDetails": lines}


def _optional(patron: Patron) -> dict[str, Any]:
    told: dict[str, Any] = {
        "UserPrivilege": {
            "AgencyId": "LINDENTAL",
            "AgencyUserPrivilegeType": "LIBRARY",
            "ValidToDate": f"{patron.valid_until:%Y-%m-%d}",
        }
    }
    if patron.flags[0] == "Y":
        told["BlockOrTrap"] = {"AgencyId": "LINDENTAL", "BlockOrTrapType": _BLOCK}
    return told
