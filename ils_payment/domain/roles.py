"""Who of the staff may do what: one table of roles and rights, and what it means to belong to a library."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Role(StrEnum):
    """What a staff account is for; each account has one role."""

    CLERK = "clerk"
    TREASURER = "treasurer"
    AUDITOR = "auditor"
    TECHNICIAN = "technician"


class Right(StrEnum):
    """What an account may see or do."""

    PAYMENTS = "payments"
    """Payments by id, number, state, amount and time: nothing that belongs to a person."""
    CASES = "cases"
    """Cases with the facts of both sides."""
    PATRON = "patron"
    """Whose payment it is: card number, fee texts, and finding payments by card."""
    DECIDE = "decide"
    """Close a case or settle again, with a reason."""
    ASK_REFUND = "ask_refund"
    APPROVE_REFUND = "approve_refund"
    """Let a refund that somebody else asked for go, or reject it."""
    BOOKS = "books"
    """Read exports and the reports of the reconciliation."""
    EXPORT = "export"
    """Make an export for the treasury."""
    JOURNAL = "journal"
    """Read what staff and commands did."""
    HEALTH = "health"
    """See queues and what is configured, without any secret."""


_CLERK = frozenset({Right.PAYMENTS, Right.CASES, Right.PATRON, Right.DECIDE, Right.ASK_REFUND})

RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.CLERK: _CLERK,
    Role.TREASURER: _CLERK | {Right.APPROVE_REFUND, Right.BOOKS, Right.EXPORT},
    Role.AUDITOR: frozenset(
        {Right.PAYMENTS, Right.CASES, Right.PATRON, Right.BOOKS, Right.JOURNAL, Right.HEALTH}
    ),
    Role.TECHNICIAN: frozenset({Right.PAYMENTS, Right.HEALTH}),
}


def may(role: Role, right: Right) -> bool:
    """Tell whether *role* has *right*."""
    return right in RIGHTS[role]


def belongs(libraries: Collection[str] | None, library: str | None) -> bool:
    """Tell whether an account of *libraries* (None: all of them) may see what belongs to *library*.

    What belongs to no library, such as the start of the program, is for accounts of all of them.
    """
    return libraries is None or (library is not None and library in libraries)
