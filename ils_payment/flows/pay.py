"""Pay: freeze the chosen fees, claim them, and open a session at the provider.

Everything is committed before the provider is asked: the payment with a claim on each fee (one
open payment per fee, over all tabs and devices, by a database constraint), and the attempt with
its exact request. What a crash leaves behind, the sweep looks up; nothing is started twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from ils_payment.domain import payable
from ils_payment.domain.states import UNPAID
from ils_payment.errors import RemoteError
from ils_payment.flows import letters, links, see, show
from ils_payment.flows.hands import in_hands
from ils_payment.flows.observe import learn, observe, record_start
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import Attempt, AttemptLine, Started, StartRefused, State
from ils_payment.store import attempts, orders, patrons, payments
from ils_payment.store.payments import AlreadyClaimedError
from ils_payment.store.records import Line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ils_payment.flows.house import Desk, House
    from ils_payment.flows.views import PaymentView
    from ils_payment.model import Fee, PatronRef
    from ils_payment.store.records import AttemptRow, Payment

log = structlog.get_logger(__name__)

FIRST_LOOK = timedelta(minutes=2)
LOOK_UP_UNCLEAR = timedelta(seconds=20)

_UNNAMED = {"de": "Bibliotheksgebühr", "en": "Library fee"}
"""What the payer reads at the provider for a fee kind without a configured label."""


def begin(
    house: House,
    desk: Desk,
    patron: PatronRef,
    keys: Sequence[str],
    method: str,
    language: str,
    expected_cents: int,
) -> Begun | NotBegun:
    """Start a payment for the fees in *keys* that the patron confirmed as *expected_cents* in all."""
    minimum = desk.minimum(method)
    if minimum is None:
        return NotBegun(code="unknown_method")
    minimum = max(minimum, desk.system.capabilities().min_cents)
    if house.paused:
        return NotBegun(code="paused")
    choice = _choose(house, desk, patron, set(keys), expected_cents)
    if isinstance(choice, NotBegun):
        return choice
    if expected_cents < minimum:
        return NotBegun(code="below_minimum")
    try:
        if not _may_pay(desk, patron, method):
            return NotBegun(code="test_mode")
    except RemoteError:
        return NotBegun(code="library_unavailable")
    try:
        frozen = _freeze(house, desk, patron, choice, method, language)
    except AlreadyClaimedError as held:
        return NotBegun(code="already_running", payment_id=held.payment_id)
    except AboveBalanceError:
        return NotBegun(code="above_balance")
    house.world.failpoint("pay.frozen")
    return _start(house, desk, *frozen)


class AboveBalanceError(Exception):
    """Another payment of the patron will take what is owed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen fees, and the most that may be paid in all payments of the patron together."""

    fees: tuple[Fee, ...]
    limit: int


def _choose(
    house: House, desk: Desk, patron: PatronRef, keys: set[str], expected_cents: int
) -> Choice | NotBegun:
    """Read the fees fresh and pick the chosen ones, or say why this cannot be what was confirmed."""
    if not keys:
        return NotBegun(code="nothing_chosen")
    try:
        account = desk.account(patron)
    except RemoteError as error:
        log.warning("library_unavailable", library=desk.key, reason=str(error))
        return NotBegun(code="library_unavailable")
    chosen = [fee for fee in see.judge(house, desk, account) if fee.claim_key in keys]
    total = sum(fee.cents for fee in chosen)
    if {fee.claim_key for fee in chosen} != keys or total != expected_cents:
        return NotBegun(code="changed")
    if not all(fee.payable for fee in chosen):
        return NotBegun(code="not_payable")
    limit = payable.limit(account)
    return NotBegun(code="above_balance") if total > limit else Choice(tuple(chosen), limit)


def _may_pay(desk: Desk, patron: PatronRef, method: str) -> bool:
    """Tell whether this patron may pay now: with play money only the configured test cards."""
    if desk.providers[desk.provider_of(method)].capabilities().live:
        return True
    if not desk.settings.test_cards:
        return False
    return desk.system.card(patron).number in desk.settings.test_cards


def _freeze(
    house: House, desk: Desk, patron: PatronRef, choice: Choice, method: str, language: str
) -> tuple[Payment, Attempt]:
    """Commit the payment, its claims and the attempt.

    AlreadyClaimedError when a fee is held; AboveBalanceError when this and the patron's other open
    payments are more than is owed.
    """
    name = desk.provider_of(method)
    provider = desk.providers[name]
    with house.store.unit() as unit:
        payment_id = unit.world.new_id()
        lines = [_line(desk, fee, unit.world.new_id()) for fee in choice.fees]
        patron_id = patrons.patron_id(unit, desk.patrons, patron)
        running = payments.claimed_cents(unit, patron_id)
        values: dict[str, Any] = {
            "id": payment_id,
            "library": desk.key,
            "patron_id": patron_id,
            "cents": sum(line.cents for line in lines),
            "currency": desk.settings.currency,
            "method": method,
            "provider": name,
            "live": provider.capabilities().live,
            "language": language,
            "receipt_number": orders.new_marker(unit),
            "due_at": unit.now + FIRST_LOOK,
        }
        private = {line.id: fee.text for line, fee in zip(lines, choice.fees, strict=True)}
        payments.create(unit, values, lines, private)
        if running + values["cents"] > choice.limit:
            raise AboveBalanceError
        back = links.return_url(house, desk.key, payment_id, unit.now)
        attempt = Attempt(
            key=unit.world.new_id(),
            reference=payment_id,
            cents=values["cents"],
            currency=desk.settings.currency,
            method=method,
            lines=_payer_lines(desk, lines, language),
            language=language,
            return_url=back,
            cancel_url=f"{back}&cancelled=1",
            created_at=unit.now,
            installation=house.installation.name,
        )
        attempt = replace(attempt, request=provider.prepare(attempt))
        attempts.add(
            unit, key=attempt.key, payment_id=payment_id, number=1, provider=name, request=attempt.request
        )
        payment = payments.load(unit, payment_id)
        if payment is None:  # pragma: no cover - it was written a few lines above
            raise LookupError(payment_id)
        return payment, attempt


def _line(desk: Desk, fee: Fee, line_id: str) -> Line:
    books = desk.settings.fee_kinds.get(fee.kind)
    return Line(
        id=line_id,
        kind=fee.kind,
        claim_key=fee.claim_key,
        fee_ref=fee.ref,
        cents=fee.cents,
        cost_centre=books.cost_centre if books else "",
        account=books.account if books else "",
    )


def _payer_lines(desk: Desk, lines: list[Line], language: str) -> tuple[AttemptLine, ...]:
    """Return what the provider may show: names of fee kinds, never titles or names."""
    labels = {kind: known.label for kind, known in desk.settings.fee_kinds.items() if known.label}
    return tuple(
        AttemptLine(text=letters.text(labels.get(line.kind, _UNNAMED), language), cents=line.cents)
        for line in lines
    )


def _start(house: House, desk: Desk, frozen: Payment, attempt: Attempt) -> Begun | NotBegun:
    """Open the provider session; an unclear start is looked up by the sweep, never repeated here."""
    answer: Begun | NotBegun = NotBegun(code="provider_unavailable", payment_id=frozen.id)

    def work(payment: Payment) -> datetime | None:
        nonlocal answer
        house.world.failpoint("pay.before_start")
        outcome = desk.providers[payment.provider].start(attempt)
        house.world.failpoint("pay.after_start")
        with house.store.unit() as unit:
            if isinstance(outcome, Started):
                record_start(unit, payment, attempt.key, outcome)
                if _may_lead_to(house, desk, payment.provider, outcome.interaction.url):
                    answer = Begun(payment_id=payment.id, url=outcome.interaction.url)
                return payment.due_at
            if isinstance(outcome, StartRefused):
                attempts.ended(unit, attempt.key, "refused")
                payments.move(unit, payment, "start_refused", to=State.VOID, void_reason="refused")
                answer = NotBegun(code="provider_refused", payment_id=payment.id)
                due = None
            else:
                payments.record(unit, payment, "start_unclear", {})
                due = unit.now + LOOK_UP_UNCLEAR
        log.error("start_failed", payment=payment.id, library=desk.key, reason=outcome.reason)
        return due

    in_hands(house, frozen.id, work)
    return answer


def _may_lead_to(house: House, desk: Desk, provider: str, url: str) -> bool:
    """Tell whether a browser may be sent to *url*: a page of the provider's or of ours, and no other."""
    parts = urlsplit(url)
    origins = {*desk.providers[provider].capabilities().redirect_origins, house.settings.server.public_url}
    if f"{parts.scheme}://{parts.netloc}" in origins:
        return True
    log.error(
        "redirect_refused",
        library=desk.key,
        provider=provider,
        mend="The provider named a payment page of another origin; type: ils-payment check",
    )
    return False


def cancel(house: House, payment_id: str) -> PaymentView:
    """Close the provider session of a payment that is not paid yet, so that its fees are free again.

    A payment that was paid meanwhile stays paid, one whose provider does not answer stays open:
    the view says so. LookupError when there is no such payment.
    """

    def work(payment: Payment) -> datetime | None:
        desk = house.libraries[payment.library]
        provider = desk.providers[payment.provider]
        attempt = _attempt(house, payment_id)
        if payment.state not in UNPAID or not provider.capabilities().close:
            return payment.due_at
        if attempt.session_ref is None:
            due = observe(house, desk, payment)
            attempt = _attempt(house, payment_id)
            if attempt.session_ref is None:
                return due
        house.world.failpoint("pay.before_close")
        seen = provider.close(attempt.session_ref)
        house.world.failpoint("pay.after_close")
        with house.store.read() as unit:
            current = payments.load(unit, payment_id) or payment
        return learn(house, desk, current, seen, void_reason="cancelled")

    in_hands(house, payment_id, work)
    house.wake()
    view = show.payment(house, payment_id)
    if view is None:
        raise LookupError(payment_id)
    return view


def _attempt(house: House, payment_id: str) -> AttemptRow:
    with house.store.read() as unit:
        found = attempts.latest(unit, payment_id)
    if found is None:  # pragma: no cover - it is committed together with the payment
        raise LookupError(payment_id)
    return found
