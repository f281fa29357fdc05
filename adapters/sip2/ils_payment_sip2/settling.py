"""Settling, pure: what is wrong with an order, message 37, and the table of what each answer to it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ils_payment import money
from ils_payment.errors import RemoteGarbledError
from ils_payment.model import WHOLE_ACCOUNT, Applied, NotApplied, Unclear
from ils_payment_sip2 import patron, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import CreditOrder, SettleOutcome
    from ils_payment_sip2.config import SIP2Config
    from ils_payment_sip2.wire import Message

MARKER = re.compile(r"ILSP-[0-9A-HJKMNP-TV-Z]{6}-[0-9A-HJKMNP-TV-Z]")
_REF_LIMIT = 60


class Verdict(StrEnum):
    """What an answer to message 37 says."""

    APPLIED = "paid"
    NEVER = "certainly not paid; asking again cannot help"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, repr=False)
class Sent:
    """What was sent, as far as an answer is compared with it."""

    card: str
    cents: int
    currency: str
    ref: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: which answers it is about, and what they mean."""

    fits: Callable[[Message, Sent, SIP2Config], bool]
    verdict: Verdict
    reason: str


def _other_patron(answer: Message, sent: Sent, _config: SIP2Config) -> bool:
    return not patron.same_card(answer.first("AA") or "", sent.card)


def _other_position(answer: Message, sent: Sent, _config: SIP2Config) -> bool:
    """Tell whether the positions in an answer (Gossip: FB) are others than the one that was paid."""
    return sent.ref is not None and any(ref.strip() != sent.ref for ref in answer.every("FB"))


def _other_amount(answer: Message, sent: Sent, config: SIP2Config) -> bool:
    """Tell whether an answer says that another amount was paid (Gossip: FG), or says it unreadably."""
    if sent.ref is None or not answer.every("FG"):
        return False
    try:
        paid = sum(patron.cents(one.strip(), config.spoken, sent.currency) for one in answer.every("FG"))
    except RemoteGarbledError:
        return True
    return paid != sent.cents


# The first row that fits decides. By the protocol N means that nothing was paid, and Y that it was; every
# answer that is not certainly about this very message is unclear. Answers that never came, were damaged or
# have another sequence number do not get as far as here, and are unclear, too.
OUTCOMES: tuple[Row, ...] = (
    Row(_other_patron, Verdict.UNCLEAR, "sip2_38_other_patron"),
    Row(lambda answer, *_: answer.fixed[:1] == "N", Verdict.NEVER, "sip2_38_not_accepted"),
    Row(lambda answer, *_: answer.fixed[:1] != "Y", Verdict.UNCLEAR, "sip2_38_neither_yes_nor_no"),
    Row(_other_position, Verdict.UNCLEAR, "sip2_38_other_position"),
    Row(_other_amount, Verdict.UNCLEAR, "sip2_38_other_amount"),
    Row(lambda *_: True, Verdict.APPLIED, "sip2_38_accepted"),
)


def outcome(answer: Message, sent: Sent, order: CreditOrder, config: SIP2Config) -> SettleOutcome:
    """Return what *answer* (a 38) says of *order*, by :data:`OUTCOMES`."""
    row = next(row for row in OUTCOMES if row.fits(answer, sent, config))
    if row.verdict is Verdict.UNCLEAR:
        return Unclear(reason=row.reason)
    if row.verdict is Verdict.NEVER:
        # Its text for the screen (AF) stays there: nobody knows what a server writes into it.
        return NotApplied(reason=row.reason, permanent=True)
    return Applied(remote_ref=_remote_ref(answer, order), applied=order.cents, unapplied=0)


def _remote_ref(answer: Message, order: CreditOrder) -> str:
    """Return the server's number of the payment (BK) where it has one, else our own."""
    number = (answer.first("BK") or "").strip()
    usable = number.isascii() and number.isprintable() and len(number) <= _REF_LIMIT
    return number if number and usable else order.marker


def order_problem(order: CreditOrder, config: SIP2Config, currency: str) -> str | None:
    """Say what can be seen to be wrong with *order* without asking the server; None if nothing."""
    dialect = config.spoken
    if order.currency != currency:
        return "order_currency_differs"
    if not MARKER.fullmatch(order.marker):
        return "order_marker_malformed"
    if len(order.lines) != 1:
        return "order_not_one_line"
    [line] = order.lines
    if dialect.has_fee_ids and (not line.ref or not wire.is_safe(line.ref, dialect)):
        return "order_line_without_id"
    # An id that the server does not know could let it pay another fee.
    if not dialect.has_fee_ids and (line.ref is not None or line.claim_key != WHOLE_ACCOUNT):
        return "order_line_is_not_the_account"
    if not 0 < order.cents <= money.MAX_CENTS or line.cents != order.cents:
        return "order_amount_malformed"
    return None


def pay_fields(order: CreditOrder, config: SIP2Config) -> tuple[str, list[tuple[str, str]]]:
    """Return what follows the date in message 37: its fixed part, and the fields of its own."""
    dialect = config.spoken
    fixed = dialect.fee_type + config.payment_type_of(order.method) + order.currency
    fields = [("BV", patron.amount_text(order.cents, dialect, order.currency)), ("BK", order.marker)]
    [line] = order.lines
    if line.ref is not None:
        fields.append(("CG", line.ref))
    return fixed, fields
