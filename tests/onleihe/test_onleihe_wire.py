"""Questions and answers of the Onleihe as bytes, hostile ones included."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote, urlencode
from xml.dom.minidom import parseString

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ils_payment_onleihe import wire

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import RawRequest

GOOD = b"sno=21234000012345&pwd=4711"


def request(body, content_type=wire.FORM):
    headers = {"content-type": content_type} if content_type else {}
    return RawRequest(method="POST", path="/", query="", headers=headers, body=body)


def asked(body, **more):
    found = wire.question(request(body, **more))
    return (found.card, found.pin) if found else None


def test_a_question_is_read_with_its_escapes():
    assert asked(GOOD) == ("21234000012345", "4711")
    assert asked(urlencode({"sno": " A 1 ", "pwd": " ä&=+%"}).encode()) == ("A 1", " ä&=+%")
    assert asked(GOOD, content_type="application/X-WWW-form-urlencoded; charset=UTF-8") is not None
    assert asked(GOOD, content_type="") == asked(GOOD)
    assert asked(b"lang=de&" + GOOD) == asked(GOOD)


def test_neither_card_nor_pin_is_in_what_is_printed_of_a_question():
    assert "4711" not in repr(wire.question(request(GOOD)))
    assert "2123" not in repr(wire.question(request(GOOD)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"sno=A1",
        b"pwd=1",
        b"sno=&pwd=1",
        b"sno=A1&pwd=",
        b"sno=A1&sno=A2&pwd=1",
        b"sno=A1&pwd=1&pwd=2",
        b"sno=A1&sno=&pwd=1",
        b"sno[]=A1&pwd=1",
        b"SNO=A1&PWD=1",
        b'{"sno": "A1", "pwd": "1"}',
        b"sno=%FF&pwd=1",
        b"sno=A1&pwd=\xff",
        b"sno=A%00&pwd=1",
        b"sno=A%0A1&pwd=1",
        b"sno=A1&pwd=%1b",
        b"sno=" + b"9" * 65 + b"&pwd=1",
        b"sno=A1&pwd=" + b"1" * 129,
        b"&".join([GOOD, *[b"x=1"] * 30]),
    ],
)
def test_what_is_no_plain_question_about_one_card_is_none(body):
    assert asked(body) is None


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/xml", "application/json"])
def test_another_content_type_is_no_question(kind):
    assert asked(GOOD, content_type=kind) is None


def elements(body):
    root: Any = parseString(body).documentElement  # noqa: S318 - our own answer
    assert root.tagName == "response"
    return {node.tagName: "".join(t.data for t in node.childNodes) for node in root.childNodes}


def test_an_answer_has_all_four_elements_in_the_form_that_was_read():
    reply = wire.answer(3, 18, "21234000012345", "51")
    assert reply.status == 200
    assert dict(reply.headers) == {"content-type": "text/xml; charset=UTF-8"}
    assert reply.body == (
        b'<?xml version="1.0" encoding="utf-8" ?><response><status>3</status><fsk>18</fsk>'
        b"<cardid>21234000012345</cardid><userid>51</userid></response>"
    )
    assert elements(wire.answer(-1).body) == {"status": "-1", "fsk": "0", "cardid": "", "userid": ""}


@pytest.mark.parametrize("text", ["</cardid><status>3</status>", "&xxe;", "]]>", "a\x00\x0b\ud800b", "ä€"])
def test_nothing_in_a_card_number_becomes_markup(text):
    said = elements(wire.answer(-3, 6, text, text).body.decode())
    assert said["status"] == "-3"
    assert len(said) == 4
    assert said["cardid"] == wire._NOT_IN_XML.sub("", text)


@pytest.mark.parametrize(
    "body",
    [
        b"<response><status>3</status><fsk>18</fsk><cardid>1</cardid><userid>1</userid></response>",
        b'<?xml version="1.0" encoding="utf-8" ?><response><status>3</status></response>',
        b"\xef\xbb\xbf<RESPONSE><Status> 3 </Status><fsk/><cardid></cardid></RESPONSE>\r\n",
        b"\n <response>\n\t<userid>\xe4</userid> <status>\n3\n</status>\n</response>\n",
    ],
)
def test_a_services_own_habits_of_writing_are_read(body):
    assert wire.status(body) == 3


@pytest.mark.parametrize("code", [-4, -3, -2, -1, 0, 1, 2, 4])
def test_every_status_is_read(code):
    assert wire.status(wire.answer(code).body) == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"3",
        b"<html><body>Bitte anmelden</body></html>",
        b"<response></response>",
        b"<response><status></status></response>",
        b"<response><status/></response>",
        b"<response><status>drei</status></response>",
        b"<response><status>3.0</status></response>",
        b"<response><status>333</status></response>",
        b"<response><status>3</status><status>1</status></response>",
        b"<response><status>3</fsk></response>",
        b"<response><a><status>3</status></a></response>",
        b"<response><status>3</status>",
        b"<response><status>3</status></response><response><status>1</status></response>",
        b'<!DOCTYPE r [<!ENTITY a "3">]><response><status>&a;</status></response>',
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><response><status>3</status></response>',
        b"<response><![CDATA[<status>3</status>]]></response>",
        b"<response><status>3</status><!-- x --></response>",
        b"<response><status>&#51;</status></response>",
        "<response><status>3</status></response>".encode("utf-16"),
        b"<response>" + b"<a>" * 20000,
        b"<response>" + b"<fsk>1</fsk>" * 5000,
        b" " * 60000,
    ],
)
def test_any_other_document_is_garbled(body):
    with pytest.raises(RemoteGarbledError):
        wire.status(body)


@given(st.binary(max_size=300))
def test_no_bytes_of_a_service_raise_anything_else(body):
    for document in (body, b"<response><status>" + body + b"</status></response>"):
        with contextlib.suppress(RemoteGarbledError):
            assert -99 <= wire.status(document) <= 99


@given(st.binary(max_size=300), st.text(max_size=80), st.text(max_size=80))
def test_no_bytes_of_a_stranger_raise(body, card, pin):
    wire.question(request(body))
    form = f"sno={quote(card, errors='replace')}&pwd={quote(pin, errors='replace')}"
    found = asked(form.encode())
    assert found is None or found[0] == card.strip()


@given(st.text(max_size=100))
def test_an_answer_is_always_whole(text):
    answer = parseString(wire.answer(3, 18, text, text).body).documentElement  # noqa: S318 - our own answer
    assert answer is not None
    assert [part.nodeName for part in answer.childNodes] == ["status", "fsk", "cardid", "userid"]
