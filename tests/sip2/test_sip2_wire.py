"""Messages as bytes: known ones, damaged ones, and whatever a fuzzer thinks of."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ils_payment_sip2 import patron, wire
from ils_payment_sip2.dialect import PRESETS, Dialect

from ils_payment.errors import RemoteError, RemoteGarbledError

PLAIN = Dialect(error_detection=False)
NOW = datetime(2026, 11, 21, 21, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "sum_of_it"),
    [
        # Published examples of the protocol.
        (b"941AY3AZ", b"FDFA"),
        (b"3519980723    094014AOCertification Institute ID|AAPatronID|AY3AZ", b"EBF2"),
    ],
)
def test_a_checksum_is_the_published_one(message, sum_of_it):
    assert wire.checksum(message) == sum_of_it


def test_a_checksum_has_four_digits_even_when_it_is_small():
    raw = b"99" + b"\xff" * 256 + b"AZ"
    short = next(raw[: len(raw) - n] for n in range(200) if wire.checksum(raw[: len(raw) - n])[:1] == b"0")
    assert len(wire.checksum(short)) == 4


def test_bytes_are_summed_and_not_characters():
    dialect = Dialect(charset="utf-8")
    raw = wire.encode("35", "", [("AA", "Müller")], dialect, 1)
    assert (sum(raw[:-5]) + int(raw[-5:-1], 16)) & 0xFFFF == 0


@pytest.mark.parametrize(
    ("charset", "byte"), [("cp850", b"\x81"), ("iso8859-1", b"\xfc"), ("utf-8", b"\xc3\xbc")]
)
def test_text_travels_in_the_dialect_s_charset(charset, byte):
    raw = wire.encode("35", "", [("AE", "Müller")], Dialect(charset=charset), 0)
    assert b"AEM" + byte + b"ller|" in raw


@pytest.mark.parametrize(("name", "end"), [("CR", b"0\r"), ("LF", b"0\n"), ("CRLF", b"0\r\n")])
def test_a_message_ends_as_the_dialect_says(name, end):
    dialect = Dialect(terminator=name, error_detection=False)
    assert wire.encode("99", "0", (), dialect, 0).endswith(end)


def test_an_instant_is_written_with_local_or_universal_time():
    zone = ZoneInfo("Europe/Berlin")
    assert wire.stamp(NOW, zone, PLAIN) == "20261121    220509"
    assert wire.stamp(NOW, zone, Dialect(time_zone="utc")) == "20261121   Z210509"
    assert len(wire.stamp(NOW, zone, PLAIN)) == 18


@pytest.mark.parametrize("value", ["12|AD99", "12\rAA13", "12\n", "\x00", "12\t3", "漢字"])
def test_a_value_cannot_end_its_field_or_the_message(value):
    with pytest.raises(ValueError, match="the field AD holds") as refused:
        wire.encode("63", "", [("AD", value)], PLAIN, 0)
    assert value not in str(refused.value)


def test_another_delimiter_is_used_in_both_directions():
    dialect = Dialect(delimiter="^", error_detection=False)
    raw = wire.encode("94", "1", [("AO", "a|b")], dialect, 0)
    assert wire.decode(raw[:-1], dialect).first("AO") == "a|b"


def answer(text: str, sequence: int = 3) -> bytes:
    raw = text.encode() + b"AY%dAZ" % sequence
    return raw + wire.checksum(raw)


def test_a_whole_answer_is_read_with_its_number():
    message = wire.decode(answer("38Y20261121    220509AOX|AA123|BK9|"), Dialect())
    assert (message.code, message.fixed[0], message.first("AA"), message.sequence) == ("38", "Y", "123", 3)


def test_a_lower_case_or_unpadded_checksum_is_the_same_number():
    raw = answer("941")
    assert wire.decode(raw[:-4] + raw[-4:].lower(), Dialect()).fixed == "1"


@pytest.mark.parametrize("off", [-1, 1])
def test_a_checksum_off_by_one_is_a_damaged_answer(off):
    raw = answer("38Y20261121    220509AA123|")
    wrong = b"%04X" % ((int(raw[-4:], 16) + off) & 0xFFFF)
    with pytest.raises(wire.ChecksumError):
        wire.decode(raw[:-4] + wrong, Dialect())


def test_an_answer_without_a_checksum_is_refused_where_the_dialect_has_them():
    with pytest.raises(wire.ChecksumError, match="error_detection = false"):
        wire.decode(b"941", Dialect())
    assert wire.decode(b"941", PLAIN).fixed == "1"


def test_without_error_detection_numbers_that_come_all_the_same_are_no_part_of_a_field():
    assert wire.decode(b"941AO1|AY1AZF123", PLAIN).first("AO") == "1"


@pytest.mark.parametrize("raw", [b"", b"9", b"HTTP/1.1 400 Bad Request", b"38Y2026", b"941A|", b"64"])
def test_what_is_no_answer_is_garbled(raw):
    with pytest.raises(RemoteGarbledError):
        wire.decode(raw, PLAIN)


def test_a_message_shows_nothing_of_itself():
    message = wire.decode(answer("38Y20261121    220509AA21234000012345|"), Dialect())
    assert repr(message) == "Message(38)"


def test_supported_messages_are_read_in_the_protocol_s_order():
    flags = "NNNNYNNNNYNNNNNN"
    raw = f"98YNNNNN005003{wire.stamp(NOW, ZoneInfo('UTC'), PLAIN)}2.00BX{flags}|".encode()
    assert wire.supported(wire.decode(raw, PLAIN)) == frozenset({"99", "37"})
    assert wire.supported(wire.decode(raw[: raw.index(b"BX")], PLAIN)) is None


# --- whatever comes ------------------------------------------------------------------------------

FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["AA", "AV", "BV", "BH", "BL", "CQ", "PA", "FA", "FB", "FC", "FE", "FF"]),
        st.text(
            st.characters(codec="cp850", exclude_categories=["Cc"], exclude_characters="|"), max_size=12
        ).filter(str.isprintable),
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(list(PRESETS.values())))
def test_any_bytes_are_a_message_or_a_garbled_answer(raw, dialect):
    for tried in (raw, raw + b"AY1AZ" + wire.checksum(raw + b"AY1AZ")):
        with contextlib.suppress(RemoteGarbledError):
            wire.decode(tried, dialect)


@settings(max_examples=300)
@given(FIELDS, st.text("Y ", min_size=14, max_size=14), st.sampled_from(list(PRESETS.values())))
def test_any_answer_about_a_patron_is_an_account_or_a_remote_error(fields, flags, dialect):
    fixed = f"{flags}00020261121    220509000000000000000100000000"
    raw = wire.encode("64", fixed, fields, Dialect(charset=dialect.charset), 1)
    message = wire.decode(raw[:-1], dialect)
    assert [pair for pair in message.fields if pair[1]] == [pair for pair in fields if pair[1]]
    with contextlib.suppress(RemoteError):
        account = patron.account(message, dialect, "EUR", NOW)
        assert account.open_credit >= 0
        assert len({fee.claim_key for fee in account.fees}) == len(account.fees)
        assert all(fee.cents > 0 for fee in account.fees)
        assert dialect.has_fee_ids or len(account.fees) <= 1
    with contextlib.suppress(RemoteError):
        patron.card(message, dialect, NOW.date())
    with contextlib.suppress(RemoteError):
        patron.card_of(message, "21234000012345")


@settings(max_examples=200)
@given(st.data())
def test_one_changed_byte_never_passes_for_another_answer(data):
    raw = bytearray(answer("38Y20261121    220509AOX|AA21234000012345|BKILSP-7K3M9Q-4|"))
    place = data.draw(st.integers(0, len(raw) - 1))
    old, raw[place] = raw[place], data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    try:
        message = wire.decode(bytes(raw), Dialect())
    except RemoteGarbledError:
        return
    # Only the case of a letter in the checksum can pass.
    assert place >= len(raw) - 4, (place, old)
    assert message.first("AA") == "21234000012345"
