"""A decision of a person: what is decided and why, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from ils_payment.domain.decisions import Choice
from ils_payment.domain.refunds import Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decides, and why.

    ``lines`` and ``meaning`` are for what gives back. ``lines`` are payment line ids, among them None for
    money of no line; None alone is what the case is about, and without a case the whole payment.
    ``reference`` names the booking or voucher where it is written down elsewhere.
    """

    choice: Choice
    reason: str
    reference: str = ""
    meaning: Meaning | None = None
    lines: tuple[str | None, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a decision: one of :data:`CODES`; ``refund_id`` names a refund that came of it."""

    code: str
    refund_id: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the decision counts."""
        return self.code in {"done", "second_person", "treasury"}


CODES = (
    "done",  # It was done, or is on its way.
    "second_person",  # The refund is reserved and waits for a second person's approval.
    "treasury",  # The provider gives nothing back: a case says what the treasury has to pay out.
    "conflict",  # Somebody else decided first: look again.
    "too_early",  # A settle call may still take effect: wait until the quarantine is over.
    "busy",  # The payment is being worked on: try again in a moment.
    "not_possible",  # This decision does not fit the payment as it stands.
    "no_reason",  # A decision needs a reason.
    "no_reference",  # This decision needs the number of a booking or voucher.
    "no_meaning",  # A refund needs to say what becomes of the fee.
    "no_choice",  # Nothing of the case waits, so what was given back outside has to be named.
    "no_debt",  # The fee of a card cannot stay: nothing is owed for it in the library system.
    "nothing_left",  # Nothing (more) of these lines can be given back.
    "provider_cannot",  # The provider cannot give back, or only the whole.
    "same_person",  # Who asked for a refund cannot approve it.
)


class RefusedError(Exception):
    """A decision was refused: the transaction is undone."""

    def __init__(self, decided: Decided) -> None:
        super().__init__(decided.code)
        self.decided = decided
