"""SLNP and NCIP2SLNP, pure: framing, codes, what is kept of an answer, and what fuzz makes of it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ils_payment_sisis import ncip_wire, wire

from ils_payment.errors import RemoteError, RemoteGarbledError, RemoteUnavailableError

# --- SLNP: greeting ---------------------------------------------------------------------------------

GREETINGS = {
    b"220 SLNP SISIS@Version:4.4@pid:17@charset:UTF-8@ssl:false": "utf-8",
    b"220 SLNP SISIS@Version:4.4@pid:17@charset:iso-8859-1@ssl:true": "iso8859-1",
    b"220 SLNP SISIS@charset:cp850": "cp850",
    b"220 SLNP ready": "iso8859-15",
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_the_character_set_is_taken_from_the_greeting(greeting):
    assert wire.charset_of(greeting, "iso8859-15") == GREETINGS[greeting]


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"220 smtp.example",
        b"500 SLNP",
        b"\xff\xfe",
        b"220 SLNP @charset:klingon",
        b"220 SLNP @charset:utf-16",
    ],
)
def test_what_greets_otherwise_is_no_slnp_server(greeting):
    with pytest.raises(RemoteGarbledError):
        wire.charset_of(greeting, "utf-8")


# --- SLNP: commands ---------------------------------------------------------------------------------


def test_a_command_is_lines_of_keys_and_an_end():
    raw = wire.encode("SLNPBenutzerKurzKonto", [("BenutzerNummer", "4711")], "utf-8")
    assert raw == b"SLNPBenutzerKurzKonto\r\nBenutzerNummer:4711\r\nSLNPEndCommand\r\n"


def test_a_value_may_hold_colons_backslashes_and_new_lines():
    raw = wire.encode("X", [("a", "b:c\\d\ne\\n")], "utf-8")
    assert raw.split(b"\r\n")[1] == rb"a:b:c\\d\ne\\n"


@pytest.mark.parametrize("value", ["a\rb", "a\x00b", "a\x1bb", "\u2028"])
def test_what_would_break_a_line_is_never_sent(value):
    with pytest.raises(ValueError, match="Kennwort") as error:
        wire.encode("X", [("Kennwort", value)], "utf-8")
    assert value not in str(error.value)


def test_a_new_line_in_a_pin_adds_no_command():
    raw = wire.encode("X", [("Kennwort", "1\nSLNPEndCommand\nSLNPQuit")], "utf-8")
    assert raw.count(b"\r\n") == 3
    assert raw.count(b"\n") == 3


def test_a_value_that_the_character_set_lacks_is_not_sent_as_another_one():
    with pytest.raises(ValueError, match="character set"):
        wire.encode("X", [("a", "ž")], "iso8859-1")


# --- SLNP: answers ----------------------------------------------------------------------------------


def decode(*lines: bytes, wanted: tuple[str, ...] = ("Soll", "Gebuehr", "Text")) -> wire.Answer:
    return wire.decode(lines, "SLNPX", wanted, "utf-8")


def test_data_units_and_blocks_are_told_apart():
    answer = decode(
        b"600 SLNPX", b"601 Soll:12,50", b"602 ", b"603 Gebuehr:4,00", b"603 Text:a: b", b"602 ",
        b"603 Gebuehr:8,50", b"604 SLNPBegin", b"603 Gebuehr:1,00", b"605 SLNPEnd", b"250 SLNPEndOfData",
    )  # fmt: skip
    assert answer.one("Soll") == "12,50"
    assert answer.units == (
        {"Gebuehr": "4,00", "Text": "a: b"},
        {"Gebuehr": "8,50"},
        {"Gebuehr": "1,00"},
    )


def test_escapes_are_undone_backslash_first():
    assert decode(rb"601 Text:a\\n\nb", b"240 OK").one("Text") == "a\\n\nb"


@pytest.mark.parametrize("end", [b"240 OK", b"240", b"250 SLNPEndOfData"])
def test_both_ends_are_successes(end):
    assert decode(end) == wire.Answer()
    assert wire.is_last(end)


ERRORS = {
    b"510 OpsBenutzerPinFalsch": (wire.OpsError, "OpsBenutzerPinFalsch"),
    b"510 OpsIrgendwas: 21234000012345 Erika": (wire.OpsError, "OpsIrgendwas"),
    b"510 : OpsDoppelpunkt": (wire.OpsError, "OpsDoppelpunkt"),
    b"510 4711": (wire.OpsError, "no id"),
    b"510": (wire.OpsError, "no id"),
    b"520 SlnpRequestError: ENUM Feld": (wire.UnknownCommandError, "SlnpRequestError"),
    b"520 SlnpLookupError": (wire.UnknownCommandError, "SlnpLookupError"),
    b"520 SlnpInternalError": (RemoteUnavailableError, "520"),
    b"520 SlnpExecutionError: x": (RemoteUnavailableError, "520"),
    b"501 Fehler": (RemoteUnavailableError, "501"),
    b"511 Datenbank": (RemoteUnavailableError, "511"),
    b"512 Speicher": (RemoteUnavailableError, "512"),
    b"599 neu": (RemoteUnavailableError, "599"),
    b"220 SLNP": (RemoteGarbledError, "220"),
    b"299 neu": (RemoteGarbledError, "299"),
}


@pytest.mark.parametrize("line", ERRORS)
def test_each_end_means_what_was_seen_and_quotes_nothing(line):
    kind, word = ERRORS[line]
    with pytest.raises(kind, match=re.escape(word)) as error:
        decode(b"601 Soll:1,00", line)
    assert type(error.value) is kind
    assert "21234000012345" not in str(error.value)
    assert "Erika" not in str(error.value)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"601 Soll:1,00",),
        (b"",),
        (b"hello", b"240 OK"),
        (b"301 Umzug", b"240 OK"),
        (b"6011Soll:1", b"240 OK"),
        (b"600 SLNPAnders", b"240 OK"),
        (b"602 ", b"603 Gebuehr:1,00", b"603 Gebuehr:2,00", b"240 OK"),
    ],
)
def test_what_is_no_answer_to_this_command_is_garbled(lines):
    with pytest.raises(RemoteGarbledError):
        decode(*lines)


def test_a_key_with_two_values_has_none():
    answer = decode(b"601 Soll:1,00", b"601 Soll:2,00", b"240 OK")
    with pytest.raises(RemoteGarbledError, match="two values of Soll"):
        answer.one("Soll")
    assert decode(b"601 Soll:1,00", b"601 Soll:1,00", b"240 OK").one("Soll") == "1,00"


def test_an_answer_keeps_what_was_asked_for_and_never_a_pin():
    lines = (
        b"601 OpacPin:kanarie",
        b"601 Nachname:Kanarie",
        b"601 KennwortNeu:kanarie",
        b"601 Soll:0",
        b"240 OK",
    )
    answer = decode(*lines, wanted=("Soll", "OpacPin", "KennwortNeu"))
    assert answer.data == (("Soll", "0"),)
    assert "kanarie" not in repr(answer).lower()
    assert "0" not in repr(answer).replace("Answer(1, 0)", "")


def test_a_byte_of_another_character_set_hinders_nothing():
    answer = decode(b"601 Text:Geb\xfchr", b"601 Soll:1,00", b"240 OK")
    assert answer.one("Soll") == "1,00"
    assert answer.one("Text") == "Geb\N{REPLACEMENT CHARACTER}hr"


LINES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.builds(lambda code, text: b"%03d %s" % (code, text), st.integers(0, 999), st.binary(max_size=30)),
        st.sampled_from(
            [b"601 Soll:1,00", b"602 ", b"603 Gebuehr:2,00", b"604 SLNPBegin", b"250 SLNPEndOfData"]
        ),
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(LINES, st.sampled_from(["utf-8", "cp850", "iso8859-1"]))
def test_any_lines_are_an_answer_or_an_error_of_ours(lines, charset):
    with suppress(RemoteError):
        answer = wire.decode(lines, "SLNPX", ("Soll", "Gebuehr"), charset)
        assert {key for key, _ in answer.data} <= {"Soll", "Gebuehr"}


@settings(max_examples=200)
@given(
    st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"]) | st.sampled_from("\\\nn:"), max_size=30)
)
def test_whatever_is_sent_comes_back_the_same(value):
    try:
        raw = wire.encode("SLNPX", [("Text", value)], "utf-8")
    except ValueError:
        assert not value.replace("\n", "").isprintable()
        return
    line = raw.split(b"\r\n")[1]
    assert decode(b"601 " + line, b"240 OK").one("Text") == value


# --- NCIP2SLNP --------------------------------------------------------------------------------------


def document(inside: str) -> bytes:
    return f"<NCIPMessage><LookupUserResponse>{inside}</LookupUserResponse></NCIPMessage>".encode()


USER = "<UserId><UserIdentifierValue>4711</UserIdentifierValue></UserId>"


def fiscal(inside: str) -> str:
    return f"{USER}<UserFiscalAccount>{inside}</UserFiscalAccount>"


def pairs(*given: tuple[str, str]) -> str:
    inside = "".join(
        f"<UnstructuredAddressType>{name}</UnstructuredAddressType>"
        f"<UnstructuredAddressData>{value}</UnstructuredAddressData>"
        for name, value in given
    )
    address = f"<UserAddressInformation><Ext>{inside}</Ext></UserAddressInformation>"
    return f"<UserOptionalFields>{address}</UserOptionalFields>"


def test_a_question_has_card_and_pin_as_data_and_nothing_of_a_document_type():
    body = ncip_wire.question("47<11", "&pin", ncip_wire.FISCAL).decode()
    assert "<AuthenticationInputData>47&lt;11</AuthenticationInputData>" in body
    assert "<AuthenticationInputData>&amp;pin</AuthenticationInputData>" in body
    assert "<UserFiscalAccountDesired />" in body
    assert "xmlns" not in body


def test_a_character_that_xml_cannot_carry_is_not_sent():
    with pytest.raises(ValueError, match="XML"):
        ncip_wire.question("47\x0011", "1", ())


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/hostname">]>'
    b"<NCIPMessage>&b;&c;</NCIPMessage>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Anmeldung<br></body></html>",
        BOMB,
        b'<!DOCTYPE x SYSTEM "http://elsewhere.example/x.dtd">' + document(USER),
        b"<!DOCTYPE NCIPMessage>" + document(USER),
        b'<?xml version="1.0" encoding="klingon"?><NCIPMessage/>',
        document(USER)[:-20],
        document(USER).decode().encode("utf-16")[:-3],
        b"<NCIPMessage/>",
        b"<Other><LookupUserResponse/></Other>",
        document(""),
        document(USER.replace("4711", "0815")),
        b"<NCIPMessage>\xfc</NCIPMessage>",
    ],
)
def test_what_is_no_answer_about_this_patron_is_garbled(body):
    with pytest.raises(RemoteGarbledError) as error:
        ncip_wire.answer(body, "4711")
    assert "0815" not in str(error.value)


def test_a_problem_tells_its_id_and_nothing_else():
    body = document(
        "<Problem><ProblemDetail>4711 Erika</ProblemDetail><ProblemValue>OpsX</ProblemValue></Problem>"
    )
    with pytest.raises(wire.OpsError, match="OpsX") as error:
        ncip_wire.answer(body, "4711")
    assert "Erika" not in str(error.value)
    body = document("<Problem><ProblemValue>4711 ist gesperrt</ProblemValue></Problem>")
    with pytest.raises(wire.OpsError, match="no id"):
        ncip_wire.answer(body, "4711")


def test_a_name_space_makes_no_difference():
    body = document(USER).replace(b"<NCIPMessage>", b'<NCIPMessage xmlns="http://www.niso.org/2008/ncip">')
    assert ncip_wire.person(ncip_wire.answer(body, "4711")).number == "4711"


def test_all_fees_hang_under_one_account():
    one = (
        "<FiscalTransactionInformation><Amount><MonetaryValue>4,50</MonetaryValue></Amount>"
        "<FiscalTransactionDescription>Mahnung</FiscalTransactionDescription>"
        "<ValidFromDate>09.11.2026</ValidFromDate></FiscalTransactionInformation>"
    )
    sum_of_all = "<AccountBalance><MonetaryValue>9,00</MonetaryValue></AccountBalance>"
    inside = f"{sum_of_all}<AccountDetails>{one}{one}</AccountDetails>"
    balance, positions = ncip_wire.fees(ncip_wire.answer(document(fiscal(inside)), "4711"), "comma", "EUR")
    assert balance == 900
    assert [(one.cents, one.text, one.day) for one in positions] == [(450, "Mahnung", date(2026, 11, 9))] * 2
    assert ncip_wire.fees(ncip_wire.answer(document(USER), "4711"), "comma", "EUR") == (0, [])
    assert ncip_wire.fees(ncip_wire.answer(document(fiscal("")), "4711"), "comma", "EUR") == (0, [])
    without = ncip_wire.answer(document(fiscal(f"<AccountDetails>{one}</AccountDetails>")), "4711")
    with pytest.raises(RemoteGarbledError):
        ncip_wire.fees(without, "comma", "EUR")


def test_the_end_of_the_card_is_what_stands_at_the_place_of_its_name():
    body = document(
        USER + pairs(("ContactPhoneNumber", "1"), ("IdentityCardValid", "31.12.2027"), ("X", "2"))
    )
    assert ncip_wire.expiry(ncip_wire.answer(body, "4711")) == date(2027, 12, 31)
    assert ncip_wire.expiry(ncip_wire.answer(document(USER), "4711")) is None


@pytest.mark.parametrize(
    "inside",
    [
        pairs(("IdentityCardValid", "31.02.2027")),
        pairs(("IdentityCardValid", "31.12.2027"), ("IdentityCardValid", "31.12.2028")),
        pairs(("IdentityCardValid", "31.12.2027")).replace(
            "<UnstructuredAddressData>",
            "<UnstructuredAddressData>x</UnstructuredAddressData><UnstructuredAddressData>",
        ),
    ],
)
def test_an_end_of_the_card_that_is_not_certain_is_none(inside):
    with pytest.raises(RemoteGarbledError):
        ncip_wire.expiry(ncip_wire.answer(document(USER + inside), "4711"))


NCIP_PARTS = st.lists(
    st.sampled_from(
        [
            "<", ">", "</", "<NCIPMessage>", "</NCIPMessage>", "<LookupUserResponse>",
            "</LookupUserResponse>", USER, "<Problem>", "</Problem>", "<ProblemValue>OpsX</ProblemValue>",
            "&amp;", "&x;", "<!DOCTYPE x>",
            "<Ext>", "</Ext>", "<UserFiscalAccount>", "</UserFiscalAccount>", "\x00", "4711",
        ]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), NCIP_PARTS.map(lambda parts: "".join(parts).encode())))
def test_any_bytes_are_an_answer_or_an_error_of_ours(body):
    told = ""
    try:
        response = ncip_wire.answer(body, "4711")
        ncip_wire.fees(response, "comma", "EUR")
        ncip_wire.expiry(response)
        ncip_wire.blocks(response)
    except RemoteError as error:
        told = str(error)
    assert "4711" not in told
