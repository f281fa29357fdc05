"""The simulated NCIP2SLNP gateway: one LookupUser in, one answer out; it shares no code with the client."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING

from ils_payment.model import Reply
from ils_payment.testing.simulator import DROPPED
from ils_payment_sisis.simulator.faults import Fault
from ils_payment_sisis.simulator.slnp import euros

if TYPE_CHECKING:
    from ils_payment.model import RawRequest
    from ils_payment.testing.books import Patron
    from ils_payment_sisis.simulator.sisis import SISISSimulator

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE NCIPMessage [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
    '<!ENTITY c SYSTEM "file:///etc/passwd">]><NCIPMessage>&b;&c;</NCIPMessage>'
)


def answer(town: SISISSimulator, request: RawRequest) -> Reply:
    """Answer a LookupUser as the gateway would, or go wrong."""
    if request.method != "POST" or request.headers.get("content-type") != "document/xml":
        return Reply(status=415)
    text = request.body.decode("utf-8")
    given = {
        kind: unescape(value)
        for value, kind in re.findall(
            r"<AuthenticationInputData>(.*?)</AuthenticationInputData>.*?"
            r"<AuthenticationInputType>(.*?)</AuthenticationInputType>",
            text,
        )
    }
    wanted = (
        "fiscal" if "UserFiscalAccountDesired" in text else "data" if "UserElementType" in text else "blocks"
    )
    fault = town.take_fault(wanted)
    if fault in {Fault.LOST, Fault.SILENT}:
        return Reply(status=DROPPED)
    if fault is Fault.BROKEN:
        return Reply(status=503, body=b"<html>Wartung</html>")
    if fault is Fault.GARBAGE:
        return Reply(status=200, body=b"<html><body>Anmeldung<br></body></html>")
    if fault is Fault.BOMB:
        return Reply(status=200, body=BOMB.encode())
    patron = town.patron(given.get("UserId", ""))
    inside = _problem(town, patron, given.get("Password", ""), fault) or _data(town, patron, wanted, fault)
    body = f"<NCIPMessage><LookupUserResponse>{inside}</LookupUserResponse></NCIPMessage>"
    raw = f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode(town.habits.speaks)
    return Reply(status=200, body=raw[: len(raw) // 2] if fault is Fault.CUT else raw)


def _problem(town: SISISSimulator, patron: Patron | None, pin: str, fault: Fault | None) -> str:
    ops_id = ""
    if fault is Fault.REFUSED:
        ops_id = "OpsNieGehoert"
    elif patron is None:
        ops_id = "OpsBenutzerErfundenUnbekannt"
    elif town.must_change_pin == patron.card:
        ops_id = "OpsBenutzerAutoPinChange"
    elif patron.pin != pin:
        ops_id = "OpsBenutzerPinFalsch"
    if not ops_id:
        return ""
    # Nobody knows what a detail may quote.
    detail = f"<ProblemDetail>{escape(pin)}</ProblemDetail>"
    return f"<Problem>{detail}<ProblemValue>{ops_id}</ProblemValue></Problem>"


def _data(town: SISISSimulator, patron: Patron | None, wanted: str, fault: Fault | None) -> str:
    if patron is None:  # pragma: no cover - it is a problem before
        raise LookupError
    number = "21239999999999" if fault is Fault.OTHER_PATRON else patron.card
    head = f"<UserId><UserIdentifierValue>{escape(number)}</UserIdentifierValue></UserId>"
    parts = {"fiscal": _fiscal, "data": _address, "blocks": _blocks}
    return head + parts[wanted](town, patron)


def _fiscal(town: SISISSimulator, patron: Patron) -> str:
    still = [fee for fee in patron.fees if fee.open]
    if not still:
        return ""
    positions = "".join(
        f"<FiscalTransactionInformation><Amount><MonetaryValue>{euros(fee.open)}</MonetaryValue></Amount>"
        f"<FiscalTransactionDescription>{escape(fee.text)}</FiscalTransactionDescription>"
        f"<ValidFromDate>{fee.since:%d.%m.%Y}</ValidFromDate></FiscalTransactionInformation>"
        for fee in still
    )
    details = f"<AccountDetails>{positions}</AccountDetails>" if town.habits.shows_positions else ""
    return (
        f"<UserFiscalAccount><AccountBalance><MonetaryValue>{euros(patron.balance)}</MonetaryValue>"
        f"</AccountBalance>{details}</UserFiscalAccount>"
    )


def _address(_town: SISISSimulator, patron: Patron) -> str:
    """Put the end of the card into the fourth address, beside other data, as was seen."""
    pairs = (
        ("ContactPhoneNumber", "0711 123"),
        ("IdentityCardValid", f"{patron.valid_until:%d.%m.%Y}"),
        ("Nationality", "D"),
    )
    names = "".join(f"<UnstructuredAddressType>{name}</UnstructuredAddressType>" for name, _ in pairs)
    data = "".join(f"<UnstructuredAddressData>{value}</UnstructuredAddressData>" for _, value in pairs)
    empty = "<UserAddressInformation/>" * 3
    extension = f"<UserAddressInformation><Ext>{names}{data}</Ext></UserAddressInformation>"
    name = f"<NameInformation>{escape(patron.name)}</NameInformation>"
    born = "<DateOfBirth>12.03.1985</DateOfBirth>"
    group = "".join(
        f"<UnstructuredAddressData>{one}</UnstructuredAddressData>" for one in ("-", patron.category)
    )
    inside = f"{name}{born}{empty}{extension}"
    return f"<UserOptionalFields>{inside}</UserOptionalFields><Ext>{group}</Ext>"


def _blocks(town: SISISSimulator, patron: Patron) -> str:
    block = town.blocks.get(patron.card)
    if block is None:
        return ""
    line = f"<BlockOrTrap><Ext><Line1>{escape(block[1])}</Line1></Ext></BlockOrTrap>"
    return f"<UserOptionalFields>{line}</UserOptionalFields>"
