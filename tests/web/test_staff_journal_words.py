"""Every code that the journal, a payment's chain or a decision is given has words on the pages of staff."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import ils_payment
from ils_payment.domain.decisions import Choice
from ils_payment.flows.decision import CODES, Decided
from ils_payment.model import Input
from ils_payment.store.evidence import TOLD
from ils_payment.web.staff.story import DONE, PROBLEMS, STEPS

HOUSE = Path(ils_payment.__file__).parent
DECIDED = {str(choice) for choice in Choice if choice is not Choice.REFUND}
OUTCOMES = ("applied", "not_applied", "unclear")


def _codes():
    """The third argument of every call of journal.append, where it stands there as a text."""
    for path in HOUSE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in re.findall(r"journal\.append\(\s*\w+,\s*[\w.]+,\s*(.+?),", text, re.DOTALL):
            yield from re.findall(r'(?<!f)"([a-z_]+)"', call)


def test_every_code_of_the_journal_has_words():
    codes = {*_codes(), *(f"decided_{choice}" for choice in DECIDED)}
    assert len(codes) > 20
    assert codes - set(DONE) == set()


def _calls(*names: str):
    """Every call of one of these functions in the program."""
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                yield node


def _texts(argument: ast.expr) -> set[str]:
    """The texts that an argument may be; what else its condition names is none of them."""
    if isinstance(argument, ast.IfExp):
        return _texts(argument.body) | _texts(argument.orelse)
    return {str(argument.value)} if isinstance(argument, ast.Constant) else {ast.unparse(argument)}


def _steps():
    """What the program writes into chains; an expression that is not known here comes as it is written."""
    late = [
        call for call in _calls("payments.hold_late") if all(word.arg != "what" for word in call.keywords)
    ]
    known: dict[str, set[str]] = {
        "what": set(),  # It is handed on.
        "TOLD": {TOLD},
        "str(what)": {*map(str, Input)},
        **{f"str(Input.{one.name})": {str(one)} for one in Input},
        "str(decision.choice)": DECIDED,
        "f'call_{name}'": {f"call_{name}" for name in OUTCOMES},
        "f'renew_{name}'": {f"renew_{name}" for name in ("renewed", *OUTCOMES[1:])},
        "what or f'late_{case}'": {f"late_{kind}" for call in late for kind in _texts(call.args[2])},
        "case": {kind for call in _calls("hold", "_hold") for kind in _texts(call.args[1])}
        - {"payment"}  # It holds for another reason.
        | {"charge_by_hand", "renewal_unbooked"},
    }
    written = [
        *(call.args[2] for call in _calls("payments.move", "payments.record", "chain.append", "move")),
        *(
            word.value
            for call in _calls("payments.hold_late")
            for word in call.keywords
            if word.arg == "what"
        ),
    ]
    for argument in written:
        for text in _texts(argument):
            yield from known.get(text, {text})


def test_every_step_of_a_payment_has_words():
    steps = set(_steps())
    assert {"renewed_elsewhere", "late_marker_wrong", "reconciled", "refund_stuck", "created"} <= steps
    assert steps - set(STEPS) == set()


def test_every_refused_decision_has_words():
    refused = {code for code in CODES if not Decided(code=code).ok}
    assert refused - set(PROBLEMS) == set()
