"""The state table: for every state and every input one answer, and a test walks every cell.

Where the money is and whether a person is needed are two things: a :class:`Move` names the state
after the input and whether a case is opened (which *holds* the payment: no outside writes).
"Unknown means pending": only an explicit answer of provider or library system ends anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ils_payment.model import Input, State


@dataclass(frozen=True, slots=True)
class Move:
    """The state after an input (None: as before) and whether a person has to look."""

    to: State | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Either:
    """A cell with a condition: ``met`` when it holds, ``otherwise`` when it does not."""

    met: Move
    otherwise: Move


STAY = Move()
HOLD = Move(hold=True)

_NOT_CALLED = {Input.APPLIED: HOLD, Input.NOT_APPLIED: HOLD, Input.UNCLEAR: HOLD, Input.MARKER_FOUND: HOLD}
"""The library system was not called, and yet something was heard of a call."""

_PAID_BEFORE = {Input.PAID_WRONG: HOLD, Input.VOID_FINAL: HOLD}
"""The provider takes back what it said when the payment was paid."""

_OPEN: dict[Input, Move | Either] = {
    Input.PENDING: Move(State.PENDING),
    Input.PAID_RIGHT: Move(State.PAID),
    Input.PAID_WRONG: Move(State.PAID, hold=True),
    Input.VOID_FINAL: Move(State.VOID),
    **_NOT_CALLED,
}

# What a row does not name changes nothing.
_ROWS: dict[State, dict[Input, Move | Either]] = {
    State.CREATED: _OPEN,
    State.OPEN: _OPEN,
    State.PENDING: {**_OPEN, Input.PENDING: STAY},
    State.VOID: {
        # If the claims could be taken again.
        Input.PENDING: Either(Move(State.PENDING), Move(State.PENDING, hold=True)),
        Input.PAID_RIGHT: Either(Move(State.PAID), Move(State.PAID, hold=True)),
        Input.PAID_WRONG: Move(State.PAID, hold=True),
        **_NOT_CALLED,
    },
    State.PAID: {
        **_PAID_BEFORE,
        Input.FEES_STAND: Move(State.SETTLING),
        Input.FEES_DIFFER: HOLD,
        **_NOT_CALLED,
        Input.MARKER_FOUND: Move(State.SETTLED),
    },
    State.SETTLING: {
        **_PAID_BEFORE,
        Input.FEES_DIFFER: HOLD,
        Input.APPLIED: Move(State.SETTLED),
        # If trying again can help and there is time left.
        Input.NOT_APPLIED: Either(Move(State.PAID), HOLD),
        Input.UNCLEAR: Move(State.UNKNOWN),
        Input.MARKER_FOUND: Move(State.SETTLED),
    },
    State.UNKNOWN: {
        **_PAID_BEFORE,
        # If the quarantine is over and the marker is surely absent.
        Input.FEES_STAND: Either(Move(State.SETTLING), STAY),
        Input.FEES_DIFFER: HOLD,
        Input.APPLIED: Move(State.SETTLED),
        Input.NOT_APPLIED: HOLD,
        Input.MARKER_FOUND: Move(State.SETTLED),
    },
    State.SETTLED: {
        **_PAID_BEFORE,
        # If it is the same credit.
        Input.APPLIED: Either(STAY, HOLD),
    },
    State.RESOLVED: {
        # If it is the same capture.
        Input.PAID_RIGHT: Either(STAY, HOLD),
        Input.PAID_WRONG: Either(STAY, HOLD),
        Input.VOID_FINAL: HOLD,
        Input.FEES_DIFFER: HOLD,
        **_NOT_CALLED,
    },
}

TABLE: dict[tuple[State, Input], Move | Either] = {
    (state, learned): row.get(learned, STAY) for state, row in _ROWS.items() for learned in Input
}

UNPAID = frozenset({State.CREATED, State.OPEN, State.PENDING})
"""No money has been seen; the fees are claimed."""

PAID_UNSETTLED = frozenset({State.PAID, State.SETTLING, State.UNKNOWN})
"""We have the patron's money, and the library system does not surely know it yet."""

ENDED = frozenset({State.VOID, State.SETTLED, State.RESOLVED})
"""Nothing is left to do unless something new is learned; the claims are free."""


def decide(state: State, learned: Input, *, condition: bool = True) -> Move:
    """Return what *learned* does to a payment in *state*; *condition* answers a conditional cell."""
    cell = TABLE[state, learned]
    if isinstance(cell, Either):
        return cell.met if condition else cell.otherwise
    return cell
