"""Renewing with a command of the library's own: what is wrong with an order, and what each answer means.

No such command is publicly known. What the library's own one does is the library's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ils_payment.errors import RemoteError
from ils_payment.model import NotApplied, Renewed, Unclear
from ils_payment_sisis import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import Card, RenewOrder, RenewOutcome
    from ils_payment.ports import Host
    from ils_payment_sisis.client import Talk
    from ils_payment_sisis.config import RenewCommand


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: which answers it is about, and whether they mean "certainly not"."""

    fits: Callable[[RemoteError, RenewCommand], bool]
    reason: str
    never: bool = False


# The first row that fits decides. What is not certainly "nothing was done" is unclear.
ERRORS: tuple[Row, ...] = (
    Row(lambda error, _: isinstance(error, wire.UnknownCommandError), "sisis_520_not_understood", never=True),
    Row(
        lambda error, own: isinstance(error, wire.OpsError) and error.ops_id in own.refused_errors,
        "sisis_510_refused",
        never=True,
    ),
    Row(lambda error, _: isinstance(error, wire.OpsError), "sisis_510_unknown_refusal"),
    Row(lambda *_: True, "sisis_answer_lost"),
)


def order_problem(order: RenewOrder, command: RenewCommand) -> str | None:
    """Say what can be seen to be wrong with *order* without asking; None if nothing."""
    if order.base is None:
        return "order_card_never_expires"
    if not command.names_the_day:
        return None
    if order.until is None:
        return "order_until_missing"
    if order.until <= order.base:
        return "order_until_is_not_later"
    return None


def renew(
    talking: Talk, card: str, order: RenewOrder, command: RenewCommand, read: Callable[[], Card], host: Host
) -> RenewOutcome:
    """Send the command once, and look at the card before and after. Raises RemoteError before it is sent."""
    if read().valid_until != order.base:
        return NotApplied(reason="sisis_expiry_changed_meanwhile")
    host.failpoint("sisis.renew.before")
    if order.send_before is not None and host.now() > order.send_before:
        return NotApplied(reason="sisis_too_late_to_send")
    try:
        answer = talking.ask(command.command, _filled(command, card, order), tuple(command.expect))
        host.failpoint("sisis.renew.after")
        if any(answer.one(key) != value for key, value in command.expect.items()):
            return Unclear(reason="sisis_renewal_not_confirmed")
    except RemoteError as error:
        row = next(row for row in ERRORS if row.fits(error, command))
        return NotApplied(reason=row.reason, permanent=True) if row.never else Unclear(reason=row.reason)
    try:
        until = read().valid_until
    except RemoteError:
        return Unclear(reason="sisis_renewal_not_seen")
    wanted = order.until if command.names_the_day else until
    if until is None or order.base is None or until <= order.base or until != wanted:
        return Unclear(reason="sisis_renewal_not_seen")
    return Renewed(valid_until=until)


def _filled(command: RenewCommand, card: str, order: RenewOrder) -> list[tuple[str, str]]:
    return command.filled(
        card=card,
        marker=order.marker,
        until=f"{order.until:%d.%m.%Y}" if order.until else "",
        base=f"{order.base:%d.%m.%Y}" if order.base else "",
    )
