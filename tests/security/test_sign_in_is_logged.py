"""The log of those who come, go, and are refused: enough to look back, and nobody's name in it."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
import structlog
from structlog.testing import capture_logs

from ils_payment.cli import logs
from tests.web.doors import CARD, PIN, csrf_of


def events(entries):
    return [entry["event"] for entry in entries]


def test_every_way_in_and_out_is_logged_without_saying_who(doors):
    with capture_logs() as entries:
        browser = doors.arrived()
        browser.post("/lindental/logout", data={"csrf": csrf_of(browser.get("/lindental/payments").text)})
        doors.sign_in(doors.browser(), CARD, "0000")
        doors.sign_in(doors.browser(), CARD, PIN)
        doors.browser().post("/api/v1/lindental/sessions", json={"token": doors.token()})
    assert events(entries) == ["signed_in", "signed_out", "sign_in_refused", "signed_in", "signed_in"]
    assert [entry.get("by") for entry in entries] == ["token", None, None, "card_and_pin", "token"]
    assert {entry["library"] for entry in entries} == {"lindental"}
    for canary in (CARD, PIN, "0000", str(doors.town.koha.patron_ids["erika"]), "203.0.113"):
        assert f"'{canary}" not in str(entries)


def test_a_foreign_payment_and_a_forged_form_are_logged(doors):
    payment = doors.town.started()
    jan = doors.arrived("jan")
    with capture_logs() as entries:
        jan.get(f"/lindental/payments/{payment}")
        jan.post("/lindental/logout", data={"csrf": "0" * 64})
        jan.post("/lindental/logout", headers={"origin": "https://evil.example"})
    assert events(entries) == ["not_their_payment", "form_without_its_token", "form_from_elsewhere"]
    assert payment not in str(entries)


@pytest.fixture
def lines(monkeypatch):
    """Write log lines as the service does, into a text."""
    root = logging.getLogger()
    before = root.handlers, root.level
    text = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", text)
        logs.configure("json")
    yield lambda: text.getvalue().splitlines()
    structlog.reset_defaults()
    root.handlers, root.level = before


def test_log_lines_carry_utc(lines):
    structlog.get_logger("here").warning("something", library="lindental")
    (line,) = lines()
    entry = json.loads(line)
    assert entry["timestamp"].endswith(("Z", "+00:00"))
    assert (entry["event"], entry["level"]) == ("something", "warning")


def test_a_line_break_from_outside_makes_no_line_of_its_own(lines):
    structlog.get_logger("here").warning("something", said='x\n{"event": "signed_in"}\r\x1b[2K')
    assert len(lines()) == 1
