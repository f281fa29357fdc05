"""NCIP2SLNP, pure: questions and answers of the gateway in front of SISIS.

It speaks an NCIP without name space and version. What is known was read in one public client
(``docs/sisis.md``); nothing was compared with a running gateway. Answers are parsed without document
types and entities. No text of an error here holds a value of an answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

# For what is written; defusedxml does the reading.
from xml.etree.ElementTree import (  # nosec B405
    Element,
    ParseError,
    SubElement,
    tostring,
)

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ils_payment.errors import RemoteGarbledError
from ils_payment_sisis import records
from ils_payment_sisis.records import Person, Position
from ils_payment_sisis.wire import NAME, OpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from ils_payment_sisis.records import Amounts

CONTENT_TYPE = "document/xml"
"""So it is sent by the one client that was read."""

FISCAL = (("UserFiscalAccountDesired", ""),)
ADDRESS = (("UserElementType", "UserAddressInformation"), ("UserElementType", "DateOfBirth"))
BLOCKS: tuple[tuple[str, str], ...] = ()
"""What a question asks for: fees, the data with the expiry, blocks alone."""

_EXPIRY = "IdentityCardValid"
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def question(card: str, pin: str, desired: Sequence[tuple[str, str]]) -> bytes:
    """Return a LookupUser that asks for *desired*; ValueError for what no document can carry."""
    if _NOT_IN_XML.search(card + pin):
        raise ValueError("card or PIN holds a character that XML cannot carry")
    root = Element("NCIPMessage")
    lookup = SubElement(root, "LookupUser")
    for value, kind in ((card, "UserId"), (pin, "Password")):
        given = SubElement(lookup, "AuthenticationInput")
        SubElement(given, "AuthenticationInputData").text = value
        SubElement(given, "AuthenticationDataFormatType").text = "text"
        SubElement(given, "AuthenticationInputType").text = kind
    for name, text in desired:
        SubElement(lookup, name).text = text or None
    return bytes(tostring(root, encoding="UTF-8", xml_declaration=True))


def answer(body: bytes, card: str) -> Element:
    """Return the LookupUserResponse in *body*, which is about *card*.

    OpsError for a problem that the gateway names; RemoteGarbledError for anything else, an answer about
    somebody else included.
    """
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError):
        # The parser's own text may quote the answer.
        raise RemoteGarbledError(
            "The NCIP2SLNP gateway's answer is no plain XML.",
            mend="Does url lead to the gateway, and not to a page for people?",
        ) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    found = root.find("LookupUserResponse") if root.tag == "NCIPMessage" else None
    problem = root.find(".//Problem")
    if problem is not None:
        raise OpsError(_id_of(problem))
    if found is None:
        raise RemoteGarbledError("The NCIP2SLNP gateway answered something else than LookupUserResponse.")
    number = _text(found, "UserId/UserIdentifierValue")
    if not records.same_card(number, card):
        raise RemoteGarbledError(
            "The NCIP2SLNP gateway's answer is about another patron, or names none.",
            mend="If it stays: does a proxy in between mix up connections?",
        )
    return found


def person(response: Element) -> Person:
    """Return the card number as SISIS writes it, the patron's group and birth date."""
    groups = [(one.text or "").strip() for one in response.iterfind("Ext/UnstructuredAddressData")]
    return Person(
        _text(response, "UserId/UserIdentifierValue"),
        # The group is the second of the data beside the patron's.
        records.line(groups[1]) if len(groups) > 1 else "",
        records.birth_date(_text(response, "UserOptionalFields/DateOfBirth")),
    )


def fees(response: Element, form: Amounts, currency: str) -> tuple[int, list[Position]]:
    """Return the balance in cents, and the positions that are shown beside it.

    No fiscal account at all means that nothing is owed: so the client that was read takes it.
    """
    fiscal = response.find("UserFiscalAccount")
    if fiscal is None:
        return 0, []
    positions = [
        Position(
            records.cents(_text(one, "Amount/MonetaryValue"), form, currency),
            _text(one, "FiscalTransactionDescription"),
            records.day(_text(one, "ValidFromDate"), "day of a fee"),
        )
        for one in fiscal.iterfind("AccountDetails/FiscalTransactionInformation")
    ]
    balance = _text(fiscal, "AccountBalance/MonetaryValue")
    if not balance and not positions:
        return 0, []
    return records.cents(balance, form, currency), positions


def expiry(response: Element) -> date | None:
    """Return the day on which the card ends, None where the answer has none.

    It stands in a list of data beside a list of their names, and belongs to the name at the same place.
    """
    days = {found for extension in response.iter("Ext") for found in _paired(extension, _EXPIRY) if found}
    if len(days) > 1:
        raise RemoteGarbledError("The NCIP2SLNP gateway gives a card two different ends.")
    return records.day(days.pop(), "end of the card") if days else None


def _paired(extension: Element, name: str) -> Iterator[str]:
    names = [(one.text or "").strip() for one in extension.iterfind("UnstructuredAddressType")]
    data = [(one.text or "").strip() for one in extension.iterfind("UnstructuredAddressData")]
    if name in names and len(names) != len(data):
        # One more or less, and the day of something else would be taken.
        raise RemoteGarbledError("The NCIP2SLNP gateway's names and data are not pairs.")
    return (text for known, text in zip(names, data, strict=False) if known == name)


def blocks(response: Element) -> list[tuple[str, str]]:
    """Return the blocks as pairs of an id, which is always empty here, and a text."""
    return [
        ("", one.findtext("Ext/Line1") or "") for one in response.iterfind("UserOptionalFields/BlockOrTrap")
    ]


def _id_of(problem: Element) -> str:
    """Return the problem's id where it has the form of one: the other texts may quote what was sent."""
    found = NAME.fullmatch((problem.findtext("ProblemValue") or "").strip())
    return found[0] if found else "no id"


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
