"""The state table of the program against an independent copy of it, cell by cell."""

from __future__ import annotations

import pytest

from ils_payment.domain.states import ENDED, TABLE, UNPAID, Either, Move, decide
from ils_payment.model import Input, State

# Typed from the design, not from the code: "!" opens a case and holds, "." changes nothing.
# The columns: pending; paid, right or wrong; void and final; claims and fees stand; fees differ;
# applied and read back; not applied; unclear; marker found and right.
DESIGN = """
| | pending | right | wrong | void | stand | differ | applied | not applied | unclear | found |
| created, open | pending | paid | paid ! | void | . | . | ! | ! | ! | ! |
| pending | . | paid | paid ! | void | . | . | ! | ! | ! | ! |
| void | pending: reclaim or ! | paid: reclaim or ! | paid ! | . | . | . | ! | ! | ! | ! |
| paid | . | . | ! | ! | settling | ! | ! | ! | ! | settled |
| settling | . | . | ! | ! | . | ! | settled | paid (retry) or ! | unknown | settled |
| unknown | . | . | ! | ! | settling, after quarantine, if allowed | ! | settled | ! | . | settled |
| settled | . | . | ! | ! | . | . | . (same reference, else !) | . | . | . |
| resolved | . | . (same capture, else !) | . (same capture, else !) | ! | . | ! | ! | ! | ! | ! |
"""
COLUMNS = {
    "pending": Input.PENDING,
    "right": Input.PAID_RIGHT,
    "wrong": Input.PAID_WRONG,
    "void": Input.VOID_FINAL,
    "stand": Input.FEES_STAND,
    "differ": Input.FEES_DIFFER,
    "applied": Input.APPLIED,
    "not applied": Input.NOT_APPLIED,
    "unclear": Input.UNCLEAR,
    "found": Input.MARKER_FOUND,
}
CONDITIONAL = {
    "pending: reclaim or !": (Move(State.PENDING), Move(State.PENDING, hold=True)),
    "paid: reclaim or !": (Move(State.PAID), Move(State.PAID, hold=True)),
    "paid (retry) or !": (Move(State.PAID), Move(hold=True)),
    "settling, after quarantine, if allowed": (Move(State.SETTLING), Move()),
    ". (same reference, else !)": (Move(), Move(hold=True)),
    ". (same capture, else !)": (Move(), Move(hold=True)),
}


def _read(cell: str) -> tuple[Move, Move]:
    """Return what a cell of the design says when its condition holds, and when it does not."""
    if cell in CONDITIONAL:
        return CONDITIONAL[cell]
    words = [word for word in cell.split() if word != "!"]
    to = None if words in ([], ["."]) else State(words[0])
    move = Move(to, hold="!" in cell)
    return move, move


def _cells() -> dict[tuple[State, Input], tuple[Move, Move]]:
    head, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in DESIGN.strip().splitlines()
    ]
    return {
        (State(state.strip()), COLUMNS[name]): _read(cell)
        for states, *cells in rows
        for state in states.split(",")
        for name, cell in zip(head[1:], cells, strict=True)
    }


CELLS = _cells()


def test_the_design_names_every_state_and_every_input_and_so_does_the_table():
    every = {(state, learned) for state in State for learned in Input}
    assert set(CELLS) == every
    assert set(TABLE) == every
    assert len(every) == 90


@pytest.mark.parametrize(("state", "learned"), sorted(CELLS))
def test_each_cell_is_as_designed(state, learned):
    met, otherwise = CELLS[state, learned]
    assert decide(state, learned, condition=True) == met
    assert decide(state, learned, condition=False) == otherwise
    assert isinstance(TABLE[state, learned], Either) == (met != otherwise)


def test_all_cells_together_are_the_whole_table(capsys):
    walked = 0
    for (state, learned), (met, otherwise) in CELLS.items():
        found = (decide(state, learned, condition=True), decide(state, learned, condition=False))
        walked += found == (met, otherwise)
    with capsys.disabled():
        # How much of the table was walked is counted, not claimed.
        print(f"\n  state x input: {walked} of {len(TABLE)} cells", end="")  # noqa: T201 - see above
    assert walked == len(TABLE)


def test_no_input_leads_back_from_money_to_no_money():
    for (state, _), cell in TABLE.items():
        moves = (cell.met, cell.otherwise) if isinstance(cell, Either) else (cell,)
        if state not in UNPAID and state is not State.VOID:
            assert all(move.to not in UNPAID | {State.VOID} for move in moves)


def test_what_has_ended_moves_on_only_when_money_comes_after_all():
    left = {
        (state, learned)
        for (state, learned) in TABLE
        if state in ENDED
        for condition in (True, False)
        if decide(state, learned, condition=condition).to is not None
    }
    assert left == {
        (State.VOID, Input.PENDING),
        (State.VOID, Input.PAID_RIGHT),
        (State.VOID, Input.PAID_WRONG),
    }
