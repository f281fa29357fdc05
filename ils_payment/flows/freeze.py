"""Freeze: commit what is to be paid, with a claim on each line, before anybody outside hears of it.

One open payment for each fee and for each card, over all tabs and devices, by a database
constraint. The attempt with its exact request is committed with it; a payment of nothing (a free
renewal) has no attempt and is paid at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from ils_payment.domain.renewing import CARD
from ils_payment.errors import PinNeededError
from ils_payment.flows import letters, links, tariffs
from ils_payment.flows.choose import FREE
from ils_payment.model import Attempt, AttemptLine, Input, State
from ils_payment.store import attempts, claims, orders, patrons, payments, renewals
from ils_payment.store.records import Line

if TYPE_CHECKING:
    from datetime import date

    from ils_payment.domain.tariff import Quote
    from ils_payment.flows.choose import Choice, Wish
    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.model import Fee, PatronRef
    from ils_payment.store.records import Payment
    from ils_payment.store.unit import Unit

FIRST_LOOK = timedelta(minutes=2)

_UNNAMED = {"de": "Bibliotheksgebühr", "en": "Library fee"}
"""What the payer reads at the provider for a fee kind without a configured label."""


class NotFrozenError(Exception):
    """Nothing was committed; ``code`` is the reason for the page."""

    code: ClassVar[str]


class AboveBalanceError(NotFrozenError):
    """Another payment of the patron will take what is owed."""

    code = "above_balance"


class OutdatedError(NotFrozenError):
    """Another payment of the patron was settled while the account was read: its fees may be gone."""

    code = "changed"


@dataclass(frozen=True, slots=True)
class Frozen:
    """The payment as it was committed, its attempt (None: nothing is to be paid), and the way back."""

    payment: Payment
    attempt: Attempt | None
    back: str


def freeze(house: House, desk: Desk, patron: PatronRef, choice: Choice, wish: Wish, language: str) -> Frozen:
    """Commit the payment, its claims and the attempt.

    AlreadyClaimedError when a fee or the card is held; AboveBalanceError when this and the patron's
    other open payments are more than is owed. OutdatedError when a payment of the patron was settled while
    the account was read. PinNeededError when the account was read, with the PIN, before
    another payment of the patron: what it shows may be paid already.
    """
    name = FREE if wish.free else desk.provider_of(wish.method)
    live = desk.live if wish.free else desk.providers[name].capabilities().live
    with house.store.unit() as unit:
        payment_id = unit.world.new_id()
        today = desk.day_of(unit.now)
        lines = [_line(desk, fee, unit.world.new_id(), today) for fee in choice.fees]
        private = {line.id: fee.text for line, fee in zip(lines, choice.fees, strict=True)}
        owed = sum(line.cents for line in lines)
        if choice.quote is not None:
            lines.append(_renewal_line(choice.quote, unit.world.new_id()))
            private[lines[-1].id] = letters.text(choice.quote.label, language)
        patron_id = patrons.patron_id(unit, desk.patrons, patron)
        running = claims.cents(unit, patron_id, lock=True)
        values: dict[str, Any] = {
            "id": payment_id,
            "library": desk.key,
            "patron_id": patron_id,
            "cents": sum(line.cents for line in lines),
            "currency": desk.settings.currency,
            "method": wish.way,
            "provider": name,
            "live": live,
            "language": language,
            "receipt_number": orders.new_marker(unit),
            "due_at": unit.now + FIRST_LOOK,
        }
        payments.create(unit, values, lines, private)
        _still_as_read(unit, desk, patron_id, choice, payment_id)
        if owed and running + owed > choice.limit:
            raise AboveBalanceError
        payment = _load(unit, payment_id)
        if choice.quote is not None:
            payment = _sell(unit, desk, payment, choice)
        back = links.return_url(house, desk.key, payment_id, unit.now)
        if wish.free:
            return Frozen(_paid_with_nothing(unit, payment), None, back)
        return Frozen(payment, _attempt(house, desk, unit, payment, back), back)


def _still_as_read(unit: Unit, desk: Desk, patron_id: str, choice: Choice, payment_id: str) -> None:
    """Refuse what was chosen from an account that another payment has changed since it was read.

    Asked with the claims in hand: taking them may have waited for a payment that was just being booked.
    """
    if not desk.system.capabilities().unattended_read and claims.any_since(
        unit, patron_id, choice.read_at, besides=payment_id
    ):
        raise PinNeededError("The account was read before the patron's last payment.")
    if claims.booked_since(unit, patron_id, choice.asked_at):
        raise OutdatedError


def _load(unit: Unit, payment_id: str) -> Payment:
    payment = payments.load(unit, payment_id)
    if payment is None:  # pragma: no cover - it was written in this very transaction
        raise LookupError(payment_id)
    return payment


def _sell(unit: Unit, desk: Desk, payment: Payment, choice: Choice) -> Payment:
    """Write down which renewal is sold, from which tariff; its debit gets a number where one is charged."""
    quote, line = choice.quote, payment.renewal_line
    if quote is None or line is None:  # pragma: no cover - the caller has looked
        raise LookupError(payment.id)
    charges = line.cents > 0 and desk.charging is not None
    renewed_on = choice.card.renewed_on if choice.card else None
    marker = orders.new_marker(unit) if charges else None
    renewals.add(
        unit,
        payment,
        line.id,
        tariff=quote.version,
        base=quote.base,
        until=quote.until,
        renewed_on=renewed_on,
        charge_marker=marker,
    )
    facts = {"tariff": quote.version, "line": line.id, "cents": line.cents, "until": quote.until.isoformat()}
    payments.record(unit, payment, "renewal_sold", facts)
    return payment


def _paid_with_nothing(unit: Unit, payment: Payment) -> Payment:
    """Let a payment of nothing be paid at once, and due."""
    payment = payments.move(unit, payment, str(Input.PAID_RIGHT), to=State.PAID, paid_at=unit.now)
    payments.make_due(unit, payment.id)
    return payment


def _attempt(house: House, desk: Desk, unit: Unit, payment: Payment, back: str) -> Attempt:
    """Commit the attempt with the exact request."""
    attempt = Attempt(
        key=unit.world.new_id(),
        reference=payment.id,
        cents=payment.cents,
        currency=payment.currency,
        method=payment.method,
        lines=_payer_lines(desk, payment, desk.day_of(unit.now)),
        language=payment.language,
        return_url=back,
        cancel_url=f"{back}&cancelled=1",
        created_at=unit.now,
        installation=house.installation.name,
        number=payment.receipt_number,
    )
    attempt = replace(attempt, request=desk.providers[payment.provider].prepare(attempt))
    attempts.add(
        unit,
        key=attempt.key,
        payment_id=payment.id,
        provider=payment.provider,
        request=attempt.request,
    )
    return attempt


def _line(desk: Desk, fee: Fee, line_id: str, today: date) -> Line:
    books = tariffs.known_kind(desk, fee.kind, today)
    return Line(
        id=line_id,
        kind=fee.kind,
        claim_key=fee.claim_key,
        fee_ref=fee.ref,
        cents=fee.cents,
        cost_centre=books.cost_centre,
        account=books.account,
        tax_code=books.tax_code,
    )


def _renewal_line(quote: Quote, line_id: str) -> Line:
    return Line(
        id=line_id,
        kind=quote.kind,
        claim_key=CARD,
        fee_ref=None,
        cents=quote.cents,
        cost_centre=quote.cost_centre,
        account=quote.account,
        tax_code=quote.tax_code,
    )


def _payer_lines(desk: Desk, payment: Payment, today: date) -> tuple[AttemptLine, ...]:
    """Return what the provider may show: names of fee kinds, never titles or names."""
    labels = {line.kind: tariffs.known_kind(desk, line.kind, today).label for line in payment.lines}
    return tuple(
        AttemptLine(
            text=letters.text(labels[line.kind] or _UNNAMED, payment.language),
            cents=line.cents,
            cost_centre=line.cost_centre,
            account=line.account,
        )
        for line in payment.lines
        if line.cents
    )
