"""Why something is a case stands on the pages in the clerk's language, if the program itself says it."""

from __future__ import annotations

import ast
from pathlib import Path
from zoneinfo import ZoneInfo

import ils_payment
from ils_payment.web.language import Tongue
from ils_payment.web.staff import story
from ils_payment.web.staff.causes import CAUSES

DE, EN = (Tongue(code, ZoneInfo("Europe/Berlin")) for code in ("de", "en"))
ROOM = Path(ils_payment.__file__).parent
CALLS = {"_by_hand", "_fail", "NotApplied", "Unclear"}
QUESTIONS = {"wrong_in_account", "wrong_in_credits", "_why_not_again", "read_back"}


def _texts(node):
    return {
        one.value
        for one in ast.walk(node)
        # What ends with a colon introduces a remote's own words.
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and " " in one.value.rstrip(": ")
    }


def _said(node):
    """The causes that one piece of the program writes into a case."""
    if isinstance(node, ast.Dict):
        named = zip(node.keys, node.values, strict=True)
        facts = [v for k, v in named if isinstance(k, ast.Constant) and k.value in {"reason", "wrong"}]
        return {text for value in facts for text in _texts(value)}
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS:
        given = [*node.args, *(word.value for word in node.keywords)]
        return {text for value in given for text in _texts(value)}
    if isinstance(node, ast.FunctionDef) and node.name in QUESTIONS:
        answers = (one for one in ast.walk(node) if isinstance(one, ast.Return | ast.AnnAssign) and one.value)
        return {text for one in answers for text in _texts(one.value)}
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
        return _texts(node.value)
    return set()


def test_every_cause_that_the_program_writes_has_words_and_none_is_left_over():
    written = set()
    for path in [*(ROOM / "flows").glob("*.py"), *(ROOM / "domain").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            written |= _said(node)
    assert written == CAUSES


def test_a_cause_is_told_in_the_clerks_language_and_a_remotes_words_as_they_are():
    facts = {"wrong": "the balance is below zero", "reason": "koha_refused: no"}
    told = dict(story.told(facts, DE, "EUR", private=True))
    assert told == {"Ursache": "koha_refused: no", "Was nicht stimmt": "der Kontostand ist unter null"}
    assert ("What is wrong", "the balance is below zero") in story.told(facts, EN, "EUR", private=True)
