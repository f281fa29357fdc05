"""What an administrator may write, and what ``check`` says of a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ils_payment_sip2.config import SIP2Config
from ils_payment_sip2.dialect import PRESETS, Dialect, dialect_of
from ils_payment_sip2.simulator import Habits
from pydantic import ValidationError

from ils_payment.model import Level
from tests.sip2.conftest import Stand, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sip2.md"


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_can_be_changed_field_by_field(preset):
    config = SIP2Config.model_validate(
        table(preset=preset, dialect={"charset": "latin-1", "language": "003"})
    )
    changed = {"charset": "iso8859-1", "language": "003"}
    assert config.spoken == PRESETS[preset].model_copy(update=changed)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dialect": {"charset": "klingon"}}, "dialect.charset.*cp850"),
        ({"dialect": {"charset": "utf-16"}}, "dialect.charset"),
        ({"dialect": {"delimiter": "A"}}, "dialect.delimiter"),
        ({"dialect": {"fee_line": "text"}}, "dialect.fee_line"),
        ({"dialect": {"read_with": "23", "fee_lines": "text"}}, "lists no fees"),
        ({"dialect": {"partial": "line"}}, "where lines have ids"),
        ({"user": ""}, "give user and password"),
        ({"user": "a|b"}, "user holds a character"),
        ({"password": None}, "give user and password"),
        ({"preset": "sisis"}, "preset"),
        ({"ca_file": "/x"}, "ca_file is of use"),
        ({"payment_types": {"card": "123"}}, "two characters"),
        ({"port": 0}, "port"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_wrong_entry_is_named_with_its_mend(changes, words):
    with pytest.raises(ValidationError, match=f"(?s){words}"):
        SIP2Config.model_validate(table(**changes))


def test_a_short_key_for_patrons_is_refused(monkeypatch):
    monkeypatch.setenv("TEST_SIP2_KEY", "short")
    with pytest.raises(ValidationError, match="openssl rand") as refused:
        SIP2Config.model_validate(table())
    assert "short" not in str(refused.value).replace("shorter", "")


def test_no_login_is_needed_where_the_dialect_has_none():
    config = SIP2Config.model_validate(table(user="", password=None, dialect={"login": False}))
    assert not config.spoken.login


def findings(stand: Stand) -> dict[str, Level]:
    return {one.subject: one.level for one in stand.system.check()}


CARD_TO_CHECK: dict[str, Any] = {"check_card": {"env": "TEST_SIP2_CARD"}}


def test_check_says_that_everything_is_there():
    stand = Stand(**CARD_TO_CHECK)
    found = findings(stand)
    assert {found[f"SIP2: {what}"] for what in ("connection and login", "messages", "PINs")} == {Level.OK}
    assert found["SIP2: read a patron without a PIN"] is Level.OK
    # No preset was compared with a running server, and the way is not encrypted by the program.
    assert (found["SIP2: dialect"], found["SIP2: encryption"]) == (Level.WARNING, Level.WARNING)
    assert stand.sent("37") == 0


def test_check_says_what_is_absent_and_why(stand):
    absent = " ".join(one.seen for one in stand.system.check() if one.subject == "SIP2: absent")
    for words in ("Cannot renew cards: SIP2 has no message", "Cannot choose single fees", "lift blocks"):
        assert words in absent


def test_check_names_a_login_that_is_refused(stand):
    stand.server.password = "another"
    [*_, last] = stand.system.check()
    assert (last.level, last.subject) == (Level.ERROR, "SIP2: connection and login")
    assert "Correct user, password" in last.mend


@pytest.mark.parametrize(
    ("habits", "subject", "level"),
    [
        (Habits(bx="YNNNYYYYYNNNNNNN"), "SIP2: messages", Level.ERROR),
        (Habits(bx=""), "SIP2: messages", Level.WARNING),
        (Habits(judges_pins=False), "SIP2: PINs", Level.ERROR),
        (Habits(takes_any_pin=True), "SIP2: PINs", Level.ERROR),
        (Habits(shows_sum=False), "SIP2: read a patron without a PIN", Level.ERROR),
        (Habits(currency="CHF"), "SIP2: read a patron without a PIN", Level.ERROR),
        (Habits(online=False), "SIP2: connection and login", Level.ERROR),
    ],
)
def test_check_finds(habits, subject, level):
    assert findings(Stand(habits=habits, **CARD_TO_CHECK))[subject] is level


def test_check_finds_a_wrong_charset():
    stand = Stand(preset="koha", dialect={}, **CARD_TO_CHECK)
    stand.server.dialect = dialect_of("koha", {"charset": "iso8859-1"})
    assert findings(stand)["SIP2: read a patron without a PIN"] is Level.WARNING


def test_check_finds_that_a_server_answers_without_a_pin_though_the_dialect_says_it_would_not():
    stand = Stand(dialect={}, **CARD_TO_CHECK)
    assert findings(stand)["SIP2: read a patron without a PIN"] is Level.OK
    stand.server.dialect = dialect_of("generic", {"reads_without_pin": True})
    assert findings(stand)["SIP2: read a patron without a PIN"] is Level.WARNING


def test_check_finds_that_a_server_does_not_answer_without_a_pin_though_the_dialect_says_so():
    stand = Stand(**CARD_TO_CHECK)
    stand.server.dialect = dialect_of("generic", {})
    assert findings(stand)["SIP2: read a patron without a PIN"] is Level.ERROR


def test_the_page_lists_every_field_of_a_dialect_with_what_each_preset_says():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for name, field in Dialect.model_fields.items():
        cells = [cell.strip() for cell in rows[name].split(" | ")]
        assert cells[0] == (field.description or "").replace("|", "\\|"), name
        told = [str(getattr(preset, name)).replace("|", "\\|") or "-" for preset in PRESETS.values()]
        assert cells[1:] == told, name
