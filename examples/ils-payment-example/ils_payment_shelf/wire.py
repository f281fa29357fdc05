"""Pure translation between Shelf's words and the program's."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ils_payment.errors import RemoteGarbledError
from ils_payment.model import Account, Applied, Block, Card, Credit, Fee, NotApplied, Unclear
from ils_payment.money import MAX_CENTS, MoneyError, parse, to_decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ils_payment.model import CreditOrder, SettleOutcome

_T = TypeVar("_T")

REFUSALS = {
    # Shelf looks at everything before it writes; these answers mean that nothing was written.
    400: NotApplied(reason="shelf_did_not_understand", permanent=True),
    401: NotApplied(reason="shelf_token_refused"),
    403: NotApplied(reason="shelf_right_missing"),
    404: NotApplied(reason="shelf_no_such_patron", permanent=True),
    409: NotApplied(reason="shelf_fee_paid_or_smaller", permanent=True),
    429: NotApplied(reason="shelf_too_many_requests"),
}
"""Every answer that is known to be given before anything is written; all others are unclear."""


def account(patron: Mapping[str, Any], currency: str, read_at: datetime) -> Account:
    """Translate a patron's fees."""

    def translate() -> Account:
        fees = tuple(
            Fee(
                ref=str(line["id"]),
                claim_key=str(line["id"]),
                cents=parse(line["open"], currency),
                kind=str(line["kind"]),
                text=str(line["text"]),
                since=date.fromisoformat(line["since"]),
            )
            for line in patron["fees"]
        )
        return Account(balance=sum(fee.cents for fee in fees), open_credit=0, fees=fees, read_at=read_at)

    return _understood(translate)


def card(patron: Mapping[str, Any]) -> Card:
    """Translate a patron's card."""

    def translate() -> Card:
        blocks = (Block(kind="restriction", manual=True),) if patron["blocked"] else ()
        until = date.fromisoformat(patron["valid_until"])
        return Card(number=str(patron["card"]), valid_until=until, blocks=blocks)

    return _understood(translate)


def order_problem(order: CreditOrder, currency: str) -> str | None:
    """Say what can be seen to be wrong with an order without asking Shelf; None if nothing."""
    if order.currency != currency:
        return "order_currency_differs"
    if not order.lines or any(line.ref is None or line.cents <= 0 for line in order.lines):
        return "order_lines_malformed"
    if not 0 < order.cents <= MAX_CENTS or sum(line.cents for line in order.lines) != order.cents:
        return "order_amount_malformed"
    return None


def payment(order: CreditOrder) -> dict[str, Any]:
    """Write an order in Shelf's words: amounts are text."""
    return {
        "reference": order.marker,
        "method": order.method,
        "lines": [
            {"fee": line.ref, "amount": str(to_decimal(line.cents, order.currency))} for line in order.lines
        ],
    }


def settled(status: int, answer: Mapping[str, Any], order: CreditOrder) -> SettleOutcome:
    """Classify Shelf's answer to a payment: 201 for a new one, 200 for one with the same reference."""
    if status in REFUSALS:
        return REFUSALS[status]
    if status not in {200, 201}:
        return Unclear(reason=f"shelf_{status}")

    def translate() -> Applied:
        applied = parse(answer["amount"], order.currency)
        return Applied(remote_ref=str(answer["id"]), applied=applied, unapplied=0)

    return _understood(translate)


def credits_of(answer: Mapping[str, Any], currency: str) -> list[Credit]:
    """Translate a patron's payments."""

    def translate() -> list[Credit]:
        return [
            Credit(
                remote_ref=str(one["id"]),
                marker=one["reference"],
                cents=parse(one["amount"], currency),
                unapplied=0,
                at=datetime.fromisoformat(one["at"]),
            )
            for one in answer["payments"]
        ]

    return _understood(translate)


def _understood(translate: Callable[[], _T]) -> _T:
    """Turn whatever is missing or of the wrong form into one error."""
    try:
        return translate()
    except (KeyError, TypeError, ValueError, MoneyError) as error:
        raise RemoteGarbledError(
            f"Shelf's answer is not as its description says ({type(error).__name__}).",
            mend="Update Shelf or the plugin.",
        ) from None
