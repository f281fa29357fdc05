"""LIBERO and the RPC services on SISIS-SunRise: they can be read, and not paid with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ils_payment_opac_soap.simulator.voices import Call, Said, SOAPFaultError, Voice, comma

_LIBERO = "http://libero.com.au"


class Libero(Voice):
    """A token in every call."""

    staff = ("kasse", "demo-secret")

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        return {"Login": self._login, "PatronLogin": self._patron_login, "GetMemberDetails": self._member}

    def _login(self, call: Call) -> Said:
        return self._token("Login", ok=(call.first("Username"), call.first("Password")) == self.staff)

    def _patron_login(self, call: Call) -> Said:
        return self._token("PatronLogin", ok=self.signed_in(call.first("Username"), call.first("Password")))

    def _token(self, name: str, *, ok: bool) -> Said:
        told = {"Status": "1", "Token": self.new_session()} if ok else {"Status": "0", "Token": ""}
        return Said(f"{name}Response", {f"{name}Result": told}, _LIBERO)

    def _member(self, call: Call) -> Said:
        if call.first("TOKEN") not in self.sessions:
            raise SOAPFaultError("SOAP-ENV:Server")
        patron = self.patron(call.first("membercode"))
        if patron is None:
            raise SOAPFaultError("SOAP-ENV:Server")
        told = {"BorrowerID": "7", "BorrowerCode": patron.card, "ShortName": patron.name}
        return Said("GetMemberDetailsResponse", told, _LIBERO)


class SunRise(Voice):
    """Calls without a WSDL, arguments by place, nested maps, a decimal comma, days as dd.mm.yyyy."""

    @property
    def answers(self) -> Mapping[str, Callable[[Call], Said]]:
        """Return what each request's element does."""
        return {"authenticate_user": self._sign_in, "show_account": self._account}

    def _sign_in(self, call: Call) -> Said:
        ok = self.signed_in(call.first("parameter/username"), call.first("parameter/password"))
        told: dict[str, Any] = {"s-gensym3": {"Vorname": "x", "Nachname": "y"} if ok else None}
        return Said("authenticate_userResponse", told, "urn:/Authentication", unqualified=True)

    def _account(self, call: Call) -> Said:
        # By their place: the names that a client gives them mean nothing.
        arguments = [group[0] for group in call.content.values()] if isinstance(call.content, dict) else []
        card, wanted = arguments[:2]
        patron = self.patron(card)
        if patron is None:
            told: dict[str, Any] = {"ErrorText": "Benutzer nicht vorhanden", "NotOK": "1"}
        elif wanted == "OFFENEGEBUEHREN":
            told = {"Konto": self._fees(patron)}
        elif wanted == "ADRESSE":
            told = {
                "BenutzerDaten": {"BenutzerNummer": card, "AusweisEnde": f"{patron.valid_until:%d.%m.%Y}"}
            }
        else:
            blocked = {"Sperre": "1", "SperrVermerk": "x"} if patron.flags[0] == "Y" else {}
            told = {"KurzKonto": {"BenutzerNummer": card, "Soll": comma(patron.balance), **blocked}}
        return Said("show_accountResponse", {"s-gensym3": told}, "urn:/Account", unqualified=True)

    @staticmethod
    def _fees(patron: Any) -> dict[str, Any]:  # noqa: ANN401 - a patron
        """Return the lines under numbers, which XML wants written as pairs; a heading stands between them."""
        lines = [
            {"Gebuehr": comma(fee.open), "Datum": f"{fee.since:%d.%m.%Y}", "Text": fee.text}
            for fee in patron.fees
            if fee.open
        ]
        if not lines:
            return {"KeineOffenenGebuehren": "1"}
        told = [{"KtoTyp": "1", "Text": "Gebühren"}, *lines]
        return {"item": [{"key": str(number), "value": one} for number, one in enumerate(told, 1)]}
