"""What an answer means: the error map, and the table for calls that write. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ils_payment import money
from ils_payment.model import WHOLE_ACCOUNT, Applied, NotApplied, Unclear
from ils_payment_opac_soap import mapping, texts, tree
from ils_payment_opac_soap.preset import Errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import CreditOrder, SettleOutcome
    from ils_payment_opac_soap.preset import Operation, Pay, Preset
    from ils_payment_opac_soap.tree import Tree

MARKER = re.compile(r"ILSP-[0-9A-HJKMNP-TV-Z]{6}-[0-9A-HJKMNP-TV-Z]")
_FAULT_CODES = ("Envelope/Body/Fault/faultcode", "Envelope/Body/Fault/Code/Value")
_REF_LIMIT = 60

NOTHING_IS_CERTAIN = Errors()
"""The error map of a call that writes and has none of its own: whatever it says, it stays unclear."""


class Error(StrEnum):
    """What went wrong, by the preset's error map."""

    SESSION = "session"
    REFUSED = "refused"
    ABSENT = "absent"
    AUTHENTICATION = "authentication"
    PERMANENT = "permanent"
    RETRYABLE = "retryable"
    UNCLEAR = "unclear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An answer over HTTP: its status, and its document (None: unreadable, ``problem`` says why)."""

    status: int
    document: dict[str, Any] | None
    problem: str = ""

    @property
    def is_fault(self) -> bool:
        """Tell whether it is a SOAP fault."""
        return bool(tree.find(self.document or {}, "Envelope/Body/Fault"))

    @property
    def content(self) -> Tree:
        """Return what paths begin at: what stands in the SOAP body, or the document itself."""
        document = self.document or {}
        bodies = tree.find(document, "Envelope/Body")
        return bodies[0] if bodies else document


def error_of(answer: Answer, errors: Errors) -> Error | None:
    """Return what went wrong, None if the answer names nothing; UNKNOWN for a word of no list."""
    codes = [code for path in _FAULT_CODES for code in tree.texts(answer.document or {}, path)]
    codes += [code for path in errors.paths for code in tree.texts(answer.content, path)]
    for kind in Error:
        known = getattr(errors, kind.value, ())
        # The prefix of a fault's code is the server's own choice and may change.
        if any(code in known or code.partition(":")[2] in known for code in codes):
            return kind
    return Error.UNKNOWN if codes or answer.is_fault else None


def succeeded(answer: Answer, operation: Operation) -> bool:
    """Tell whether an answer is a success of *operation*."""
    return (
        answer.document is not None
        and 200 <= answer.status < 300
        and not answer.is_fault
        and all(one.holds(answer.content) for one in operation.ok)
    )


class Verdict(StrEnum):
    """What an answer to a call that writes says."""

    DONE = "done"
    NOT_DONE = "certainly not done; can be mended"
    NEVER = "certainly not done; asking again cannot help"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, repr=False)
class Sent:
    """What was sent, as far as an answer is compared with it."""

    order: CreditOrder
    patron: str
    operation: Pay
    errors: Errors
    preset: Preset
    currency: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: which answers it is about, and what they mean."""

    fits: Callable[[Answer, Sent], bool]
    verdict: Verdict
    reason: str


def _other_patron(answer: Answer, sent: Sent) -> bool:
    named = tree.texts(answer.content, sent.operation.patron_echo) if sent.operation.patron_echo else []
    return any(not mapping.same(one, sent.patron) for one in named)


def _other_fee(answer: Answer, sent: Sent) -> bool:
    named = tree.texts(answer.content, sent.operation.ref_echo) if sent.operation.ref_echo else []
    return any(one not in {line.ref for line in sent.order.lines} for one in named)


def _other_marker(answer: Answer, sent: Sent) -> bool:
    named = tree.texts(answer.content, sent.operation.marker_echo) if sent.operation.marker_echo else []
    return any(one != sent.order.marker for one in named)


def _other_amount(answer: Answer, sent: Sent) -> bool:
    """Tell whether the answer says another amount than was sent, or none where it has to say one."""
    if not sent.operation.amount_echo:
        return False
    try:
        return _sum(answer, sent.operation.amount_echo, sent) != sent.order.cents
    except ValueError:
        return True


def _sum(answer: Answer, path: str, sent: Sent) -> int:
    style, mark = sent.preset.money_for(sent.operation), sent.preset.money_of_texts
    found = tree.texts(answer.content, path) if path else []
    return sum(texts.cents(one, style, sent.currency, mark) for one in found)


def _says(error: Error) -> Callable[[Answer, Sent], bool]:
    return lambda answer, sent: error_of(answer, sent.errors) is error


def _done(answer: Answer, sent: Sent) -> bool:
    return succeeded(answer, sent.operation)


def _refused(answer: Answer, sent: Sent) -> bool:
    said = sent.operation.refused
    return bool(said) and not answer.is_fault and all(one.holds(answer.content) for one in said)


# The first row that fits decides. What counts as certainly not done is the preset's word for this very
# operation; everything that no row knows is unclear.
OUTCOMES: tuple[Row, ...] = (
    Row(lambda answer, _: answer.document is None, Verdict.UNCLEAR, "soap_unreadable"),
    Row(_other_patron, Verdict.UNCLEAR, "soap_other_patron"),
    Row(_other_fee, Verdict.UNCLEAR, "soap_other_fee"),
    Row(_other_marker, Verdict.UNCLEAR, "soap_other_marker"),
    Row(
        lambda answer, sent: _done(answer, sent) and _other_amount(answer, sent),
        Verdict.UNCLEAR,
        "soap_other_amount",
    ),
    Row(_done, Verdict.DONE, "soap_done"),
    Row(_says(Error.SESSION), Verdict.NOT_DONE, "soap_session_ended"),
    Row(_says(Error.AUTHENTICATION), Verdict.NOT_DONE, "soap_not_authenticated"),
    Row(_says(Error.RETRYABLE), Verdict.NOT_DONE, "soap_refused_for_now"),
    Row(_says(Error.PERMANENT), Verdict.NEVER, "soap_refused"),
    Row(_says(Error.ABSENT), Verdict.NEVER, "soap_patron_missing"),
    Row(_says(Error.UNCLEAR), Verdict.UNCLEAR, "soap_unclear_by_preset"),
    Row(_refused, Verdict.NEVER, "soap_refused_in_answer"),
    Row(lambda answer, _: answer.is_fault, Verdict.UNCLEAR, "soap_fault_not_classified"),
    Row(lambda *_: True, Verdict.UNCLEAR, "soap_answer_not_classified"),
)


def settle_outcome(answer: Answer, sent: Sent) -> SettleOutcome:
    """Return what *answer* says of the order, by :data:`OUTCOMES`."""
    row = next(row for row in OUTCOMES if row.fits(answer, sent))
    if row.verdict is Verdict.UNCLEAR:
        return Unclear(reason=row.reason)
    if row.verdict is not Verdict.DONE:
        return NotApplied(reason=row.reason, permanent=row.verdict is Verdict.NEVER)
    try:
        unapplied = _sum(answer, sent.operation.unapplied, sent)
    except ValueError:
        return Unclear(reason="soap_other_amount")
    if not 0 <= unapplied <= sent.order.cents:
        return Unclear(reason="soap_other_amount")
    return Applied(
        remote_ref=_remote_ref(answer, sent), applied=sent.order.cents - unapplied, unapplied=unapplied
    )


def without_success(answer: Answer, errors: Errors) -> NotApplied | Unclear:
    """Return what an answer that is no success says of a call that writes and moves no money."""
    kind = error_of(answer, errors)
    if kind in {Error.SESSION, Error.AUTHENTICATION, Error.RETRYABLE}:
        return NotApplied(reason=f"soap_{kind}")
    if kind in {Error.PERMANENT, Error.ABSENT}:
        return NotApplied(reason=f"soap_{kind}", permanent=True)
    return Unclear(reason="soap_answer_not_classified")


def _remote_ref(answer: Answer, sent: Sent) -> str:
    """Return the library system's number of the payment where it gives a usable one, else our own."""
    number = tree.first(answer.content, sent.operation.remote_ref)
    usable = number.isascii() and number.isprintable() and len(number) <= _REF_LIMIT
    return number if number and usable else sent.order.marker


def order_problem(order: CreditOrder, pay: Pay, preset: Preset, currency: str) -> str | None:
    """Say what can be seen to be wrong with *order* without asking; None if nothing."""
    refs = [line.ref for line in order.lines]
    with_ids = preset.operations.fees is not None and bool(preset.operations.fees.ref)
    if order.currency != currency:
        return "order_currency_differs"
    if not MARKER.fullmatch(order.marker):
        return "order_marker_malformed"
    if not refs or (len(refs) != 1 and (pay.per == "fee" or not with_ids)):
        return "order_not_one_line"
    if with_ids and (not all(refs) or len(set(refs)) != len(refs)):
        return "order_lines_malformed"
    # An id with the joining mark in it would be read as two.
    if with_ids and len(refs) > 1 and any(pay.join in str(ref) for ref in refs):
        return "order_lines_malformed"
    if not with_ids and (refs != [None] or order.lines[0].claim_key != WHOLE_ACCOUNT):
        return "order_line_is_not_the_account"
    if not 0 < order.cents <= money.MAX_CENTS or any(line.cents <= 0 for line in order.lines):
        return "order_amount_malformed"
    if sum(line.cents for line in order.lines) != order.cents:
        return "order_sum_differs"
    return None
