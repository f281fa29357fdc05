"""What the command line prints: words of others, in which anything may stand."""

from __future__ import annotations

import json

import pytest

from ils_payment.cli.output import print_json, print_table, say

TYPED = "up\x1b[2A\x9b2K\x00\rdown\x7f\r\nand on"
SHOWN = "up\\x1b[2A\\x9b2K\\x00\\x0ddown\\x7f\nand on"


def is_harmless(printed):
    return not any((ord(one) < 32 and one != "\n") or 127 <= ord(one) < 160 for one in printed)


def test_no_word_of_others_moves_the_cursor_of_a_terminal(capsys):
    say(TYPED)
    assert capsys.readouterr().out == f"{SHOWN}\n"


@pytest.mark.parametrize("narrow", [False, True])
def test_nor_in_a_table(capsys, monkeypatch, narrow):
    if narrow:
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "dumb")
    columns = ("Amount", "Reason", "Of", "At", "By")
    print_table(columns, [("90.00 EUR", TYPED, "a", "b", "c")], empty="")
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert "up\\x1b[2A" in printed


def test_nor_in_json_which_means_the_same_all_the_same(capsys):
    print_json({"reason": TYPED})
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert json.loads(printed) == {"reason": TYPED}
