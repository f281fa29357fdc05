"""Every code that the journal is given has words on the pages of staff."""

from __future__ import annotations

import re
from pathlib import Path

import ils_payment
from ils_payment.domain.decisions import Choice
from ils_payment.web.staff.story import DONE

HOUSE = Path(ils_payment.__file__).parent


def _codes():
    """The third argument of every call of journal.append, where it stands there as a text."""
    for path in HOUSE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in re.findall(r"journal\.append\(\s*\w+,\s*[\w.]+,\s*(.+?),", text, re.DOTALL):
            yield from re.findall(r'(?<!f)"([a-z_]+)"', call)


def test_every_code_of_the_journal_has_words():
    decided = {f"decided_{choice}" for choice in Choice if choice is not Choice.REFUND}
    codes = {*_codes(), *decided}
    assert len(codes) > 20
    assert codes - set(DONE) == set()
