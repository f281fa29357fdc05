"""The table of requirements in the document: what it promises is there, and its sums are its own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from scripts import asvs

ROOT = Path(__file__).resolve().parents[2]
TEXT = asvs.DOCUMENT.read_text(encoding="utf-8")
ROWS = asvs.rows(TEXT)


def all_tests():
    """The name of every test as ``file.py::test``; file names are unique."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield f"{path.name}::{name}"


def test_every_requirement_that_applies_has_one_row():
    assert len(ROWS) == 223
    assert max(Counter(row.number for row in ROWS).values()) == 1
    assert {row.state for row in ROWS} <= set(asvs.STATES)
    assert sorted(ROWS, key=lambda row: [int(part) for part in row.number.split(".")]) == ROWS


def test_the_counts_are_those_of_the_table():
    assert asvs.written(TEXT) == TEXT, "type: python3 scripts/asvs.py --write"


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"\w+\.py::\w+", TEXT))
    assert len(named) > 80
    assert named - set(all_tests()) == set()


def test_a_row_says_where_to_look():
    for row in ROWS:
        assert bool(re.search(r"\.py::test_", row.evidence)) or row.state != "test", row
        assert len(row.evidence) > 5, row


def test_every_document_and_section_that_is_named_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (asvs.DOCUMENT.parent / target).exists(), target
    for section in re.findall(r'section "([^"]+)"', TEXT):
        assert f"## {section}\n" in TEXT, section
