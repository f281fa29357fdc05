"""XML from outside: what is refused, what is read, and that nothing at all makes the reader stumble."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ils_payment_opac_soap import mapping, texts, tree
from ils_payment_opac_soap.outcomes import NOTHING_IS_CERTAIN, Answer, Sent, settle_outcome
from ils_payment_opac_soap.preset import Preset, read_builtin
from ils_payment_opac_soap.templates import filled, names

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Account, Applied, NotApplied, Unclear
from tests.opac_soap.conftest import CARD, PRESETS, Stand

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(9))
    + b"]><x>&j;</x>"
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BOMB, "document type|well-formed"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "document type"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x/>', "document type"),
        (b"<!DOCTYPE x><x/>", "document type"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><x/>'.encode("utf-16"), "document type"),
        (b"<x>&nobody;</x>", "well-formed"),
        (b"<x>\xfc</x>", "character set"),
        (b"<x>" * 5000 + b"</x>" * 5000, "well-formed"),
        (b"<x>" + b"<y/>" * 30_000 + b"</x>", "too many"),
        (b"<x>half of it", "well-formed"),
        (b"", "well-formed"),
        (b"no XML", "well-formed"),
        (b"\x00\x01", "well-formed"),
    ],
)
def test_what_is_refused_and_nothing_of_it_is_repeated(body, why):
    with pytest.raises(tree.TreeError, match=why) as told:
        tree.read(body)
    assert "passwd" not in str(told.value)


def test_a_bomb_costs_neither_time_nor_memory():
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(tree.TreeError):
        tree.read(BOMB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_the_word_of_the_header_counts_where_the_document_is_silent_and_wrong():
    assert tree.read("<x>Gebühr</x>".encode("latin-1"), "iso-8859-1") == {"x": ["Gebühr"]}
    declared = '<?xml version="1.0" encoding="iso-8859-1"?><x>Gebühr</x>'
    assert tree.read(declared.encode("latin-1"), "utf-8") == {"x": ["Gebühr"]}
    with pytest.raises(tree.TreeError):
        tree.read("<x>Gebühr</x>".encode("latin-1"), "no-such-charset")


ACCOUNT = tree.read(
    b"""<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><!-- c --><fee state="open"><id>1</id></fee>
    <fee state="paid"><id>2</id><sum cur="EUR">4.50</sum></fee><none i:nil="true"/><id>0</id>
    <map><item><key>1</key><value><g>7</g></value></item><item><key>x</key><value>8</value></item></map></a>"""
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/fee/id", ["1", "2"]),
        ("a/id", ["0"]),
        ("*/id", ["0"]),
        ("a/*/id", ["1", "2"]),
        ("//sum", ["4.50"]),
        ("//sum/@cur", ["EUR"]),
        ("//fee/sum/#text", ["4.50"]),
        ("a/fee[id=2]/sum", ["4.50"]),
        ("a/fee[@state=open]/id", []),
        ("a/none", []),
        ("a/nothing/at/all", []),
        ("a/map/1/g", ["7"]),
        ("a/map/x", ["8"]),
    ],
)
def test_paths_find_one_or_many_alike(path, found):
    assert tree.texts(ACCOUNT, path) == found


@pytest.mark.parametrize("path", ["a//b", "a/", "/a", "a[b]", "a b", "fee[x=1"])
def test_what_is_no_path_is_told_when_the_preset_is_read(path):
    assert not tree.is_path(path)


@pytest.mark.parametrize(
    ("text", "style", "mark", "cents"),
    [
        ("450", "minor", "comma", 450),
        ("-450", "minor", "comma", -450),
        ("450.00", "minor", "comma", 450),
        ("4.50", "point", "comma", 450),
        ("4", "point", "comma", 400),
        ("1234.5", "point", "comma", 123450),
        ("4,50", "comma", "comma", 450),
        ("4,50 EUR", "text", "comma", 450),
        ("-4,50 €", "text", "comma", -450),
        ("\u22124,50 €", "text", "comma", -450),
        ("EUR -4,50", "text", "comma", -450),
        ("1.234,50 EUR", "text", "comma", 123450),
        ("1 234,50 €", "text", "comma", 123450),
        ("$1,234.50", "text", "point", 123450),
        ("12 EUR", "text", "comma", 1200),
    ],
)
def test_amounts_are_read_exactly(text, style, mark, cents):
    assert texts.cents(text, style, "EUR", mark) == cents


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("", "minor"), ("4.50", "minor"), ("4,50", "minor"), ("1e3", "minor"), ("99999999999", "minor"),
        ("4,50", "point"), ("4.505", "point"), ("NaN", "point"), ("inf", "point"),
        ("\u0664.\u0665\u0660", "point"), ("1,234.50", "point"),
        ("4.50", "comma"), ("4,505", "comma"), ("", "comma"),
        ("4.50 EUR", "text"), ("4,50 von 9,00", "text"), ("EUR", "text"), ("1,234.50", "text"),
        ("4-50", "text"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_rather_than_guessed(text, style):
    with pytest.raises(ValueError, match=r".+"):
        texts.cents(text, style, "EUR")


@pytest.mark.parametrize(("style", "written"), [("minor", "1250"), ("point", "12.50"), ("comma", "12,50")])
def test_amounts_are_written_and_read_alike(style, written):
    assert texts.amount(1250, style, "EUR") == written
    assert texts.cents(written, style, "EUR") == 1250


def test_days_are_read_in_each_form_and_nothing_is_guessed():
    assert str(texts.day("2027-06-09", "iso")) == "2027-06-09"
    assert str(texts.day("2027-06-09T23:59:59+02:00", "iso")) == "2027-06-09"
    assert str(texts.day("09.06.2027", "german")) == "2027-06-09"
    assert str(texts.day("20270609", "compact")) == "2027-06-09"
    assert texts.day(" ", "iso") is None


@pytest.mark.parametrize(
    ("text", "style"),
    [("09.06.2027", "iso"), ("2027-06-09", "german"), ("2027-13-01", "iso"), ("x", "compact")],
)
def test_what_is_no_day_is_refused(text, style):
    with pytest.raises(ValueError, match=r".+"):
        texts.day(text, style)


def test_a_template_is_filled_repeated_and_left_out():
    template = {"who": "{patron}", "way": "{method?}", "ids": ["{ref}"], "all": ["x"], "flag": True}
    lines = [{"ref": "1"}, {"ref": "2"}]
    assert filled(template, {"patron": "P", "method": ""}, lines) == {
        "who": "P",
        "ids": ["1", "2"],
        "all": ["x"],
        "flag": "true",
    }
    assert names(template) == {"patron", "method", "ref"}
    with pytest.raises(KeyError):
        filled({"a": "{token}"}, {})


def test_a_value_cannot_become_a_part_of_the_request():
    stand = Stand("symphony")
    nasty = '<x>&amp;"{pin}]]>'
    operation = stand.config.spoken.operations.sign_in
    assert operation is not None
    prepared = stand.system._client.builder.build(
        operation, {**stand.config.all_values, "card": nasty, "pin": "1"}
    )
    assert tree.texts(tree.read(prepared.body), "//login") == [nasty]


# --- nothing makes it stumble ----------------------------------------------------------------------

ELEMENT = st.sampled_from(
    ["LookupPatronInfoResponse", "feeInfo", "billNumber", "amountOutstanding", "patronInfo", "userID",
     "Konto", "Gebuehr", "debts", "debt", "id", "status", "type", "item", "key", "value",
     "Fault", "faultcode"]
)  # fmt: skip
CONTENT = st.recursive(
    st.one_of(st.sampled_from(["ok", "4.50", "-1", CARD, "", "ü", "999999999999"]), st.text(max_size=5)),
    lambda inner: st.dictionaries(ELEMENT, st.one_of(inner, st.lists(inner, max_size=3)), max_size=4),
    max_leaves=12,
)
LOADED = {name: Preset.model_validate(read_builtin(name)) for name in PRESETS}
STAND = Stand("symphony")
ORDER = STAND.order()


@given(body=st.binary(max_size=200), charset=st.sampled_from([None, "utf-8", "iso-8859-1", "utf-7", "x"]))
@settings(max_examples=150)
def test_any_bytes_are_a_document_or_refused(body, charset):
    try:
        read = tree.read(body, charset)
    except tree.TreeError:
        return
    assert isinstance(read, dict)


def _read(content: object) -> tree.Tree:
    """Return *content* as it comes from the wire; what XML cannot carry is left out."""
    try:
        return tree.read(tree.envelope(tree.element("Answer", content)))["Envelope"][0]["Body"][0]
    except (ValueError, tree.XMLError):
        return {}


@given(content=CONTENT, preset=st.sampled_from([name for name in PRESETS if name != "libero"]))
@settings(max_examples=200)
def test_any_answer_is_an_account_or_garbled(content, preset):
    try:
        account = mapping.account(_read(content), LOADED[preset], "EUR", STAND.world.now())
    except RemoteGarbledError:
        return
    assert isinstance(account, Account)
    assert all(fee.cents > 0 for fee in account.fees)


@given(content=CONTENT, status=st.sampled_from([200, 500]))
@settings(max_examples=200)
def test_no_answer_that_is_not_exactly_a_receipt_counts_as_paid(content, status):
    pay = LOADED["symphony"].operations.pay
    assert pay is not None
    sent = Sent(ORDER, CARD, pay, pay.errors or NOTHING_IS_CERTAIN, LOADED["symphony"], "EUR")
    document = {"Envelope": [{"Body": [_read(content)]}]}
    outcome = settle_outcome(Answer(status, document), sent)
    assert not isinstance(outcome, Applied)
    assert isinstance(outcome, Unclear | NotApplied)
