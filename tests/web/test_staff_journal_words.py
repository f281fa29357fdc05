"""Every code that the journal is given has words on the pages of staff."""

from __future__ import annotations

import ast
from pathlib import Path

import ils_payment
from ils_payment.domain.decisions import Choice
from ils_payment.web.staff.story import DONE

HOUSE = Path(ils_payment.__file__).parent


def _codes():
    """The third argument of every call of journal.append, where it stands there as a text."""
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "journal.append":
                for part in ast.walk(node.args[2]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def test_every_code_of_the_journal_has_words():
    decided = {f"decided_{choice}" for choice in Choice if choice is not Choice.REFUND}
    codes = {code for code in _codes() if code != "decided_"} | decided
    assert len(codes) > 20
    assert codes - set(DONE) == set()
