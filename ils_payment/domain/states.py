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

    condition: str
    met: Move
    otherwise: Move


STAY = Move()
HOLD = Move(hold=True)

_S = State
_COLUMNS = tuple(Input)

_UNPAID = (
    Move(_S.PENDING),
    Move(_S.PAID),
    Move(_S.PAID, hold=True),
    Move(_S.VOID),
    STAY,
    STAY,
    HOLD,
    HOLD,
    HOLD,
    HOLD,
)

_ROWS: dict[State, tuple[Move | Either, ...]] = {
    _S.CREATED: _UNPAID,
    _S.OPEN: _UNPAID,
    _S.PENDING: (STAY, *_UNPAID[1:]),
    _S.VOID: (
        Either("the claims could be taken again", Move(_S.PENDING), Move(_S.PENDING, hold=True)),
        Either("the claims could be taken again", Move(_S.PAID), Move(_S.PAID, hold=True)),
        Move(_S.PAID, hold=True),
        STAY,
        STAY,
        STAY,
        HOLD,
        HOLD,
        HOLD,
        HOLD,
    ),
    _S.PAID: (STAY, STAY, HOLD, HOLD, Move(_S.SETTLING), HOLD, HOLD, HOLD, HOLD, Move(_S.SETTLED)),
    _S.SETTLING: (
        STAY,
        STAY,
        HOLD,
        HOLD,
        STAY,
        HOLD,
        Move(_S.SETTLED),
        Either("trying again can help and there is time left", Move(_S.PAID), HOLD),
        Move(_S.UNKNOWN),
        Move(_S.SETTLED),
    ),
    _S.UNKNOWN: (
        STAY,
        STAY,
        HOLD,
        HOLD,
        Either("the quarantine is over and the marker is surely absent", Move(_S.SETTLING), STAY),
        HOLD,
        Move(_S.SETTLED),
        HOLD,
        STAY,
        Move(_S.SETTLED),
    ),
    _S.SETTLED: (
        STAY,
        STAY,
        HOLD,
        HOLD,
        STAY,
        STAY,
        Either("it is the same credit", STAY, HOLD),
        STAY,
        STAY,
        STAY,
    ),
    _S.RESOLVED: (
        STAY,
        Either("it is the same capture", STAY, HOLD),
        Either("it is the same capture", STAY, HOLD),
        HOLD,
        STAY,
        HOLD,
        HOLD,
        HOLD,
        HOLD,
        HOLD,
    ),
}

TABLE: dict[tuple[State, Input], Move | Either] = {
    (state, column): cell for state, row in _ROWS.items() for column, cell in zip(_COLUMNS, row, strict=True)
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
