"""Pay: take what was confirmed, fees and card in one go, and open a session at the provider.

Everything is committed before the provider is asked (:mod:`ils_payment.flows.freeze`). What a
crash leaves behind, the sweep looks up; nothing is started twice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from ils_payment.domain.states import UNPAID
from ils_payment.errors import RemoteError
from ils_payment.flows import show
from ils_payment.flows.choose import Wish, choose, may_pay, minimum
from ils_payment.flows.freeze import NotFrozenError, freeze
from ils_payment.flows.hands import in_hands
from ils_payment.flows.observe import learn, observe, record_start
from ils_payment.flows.views import Begun, NotBegun
from ils_payment.model import ReadSupport, Started, StartRefused, State
from ils_payment.store import attempts, payments
from ils_payment.store.claims import AlreadyClaimedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.flows.views import PaymentView
    from ils_payment.model import Attempt, PatronRef
    from ils_payment.store.records import AttemptRow, Payment

log = structlog.get_logger(__name__)

LOOK_UP_UNCLEAR = timedelta(seconds=20)


def begin(
    house: House,
    desk: Desk,
    patron: PatronRef,
    keys: Sequence[str],
    method: str,
    language: str,
    expected_cents: int,
    *,
    until: date | None = None,
) -> Begun | NotBegun:
    """Start a payment for the fees in *keys* that the patron confirmed as *expected_cents* in all.

    *until*: the card is to be renewed, too, to the day that the patron was shown. PinNeededError where the
    library system shows an account only with the PIN, and the sign-in is too long ago.
    """
    wish = Wish(keys=frozenset(keys), method=method, expected_cents=expected_cents, until=until)
    least = minimum(desk, wish)
    if least is None:
        return NotBegun(code="unknown_method")
    if house.paused:
        return NotBegun(code="paused")
    choice = choose(house, desk, patron, wish)
    if isinstance(choice, NotBegun):
        return choice
    if expected_cents < least:
        return NotBegun(code="below_minimum")
    try:
        if not may_pay(desk, patron, wish.way):
            return NotBegun(code="test_mode")
    except RemoteError:
        return NotBegun(code="library_unavailable")
    try:
        frozen = freeze(house, desk, patron, choice, wish, language)
    except AlreadyClaimedError as held:
        return NotBegun(code="already_running", payment_id=held.payment_id)
    except NotFrozenError as found:
        return NotBegun(code=found.code)
    house.world.failpoint("pay.frozen")
    if frozen.attempt is None:
        house.wake()
        return Begun(payment_id=frozen.payment.id, url=frozen.back)
    return _start(house, desk, frozen.payment, frozen.attempt)


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
                url = record_start(unit, house, payment, attempt.key, outcome)
                if url is not None:
                    answer = Begun(payment_id=payment.id, url=url)
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


def come_back(house: House, payment_id: str, return_params: Mapping[str, str]) -> None:
    """Look at a payment whose payer came back from the provider.

    It becomes due, like after a notice. Where a session can be read only with what the provider added to
    the way back (*return_params*, anybody's words until the provider has confirmed them), it is read now.
    """

    def work(payment: Payment) -> datetime | None:
        # Somebody else may have learned more meanwhile; asking once more does no harm.
        return observe(house, house.libraries[payment.library], payment, return_params)

    if return_params and _reads_with_return(house, payment_id):
        in_hands(house, payment_id, work)
    house.make_due(payment_id)


def _reads_with_return(house: House, payment_id: str) -> bool:
    with house.store.read() as unit:
        payment = payments.load(unit, payment_id)
    if payment is None or payment.state not in UNPAID or payment.library not in house.libraries:
        return False
    provider = house.libraries[payment.library].providers.get(payment.provider)
    return provider is not None and provider.capabilities().read is ReadSupport.WITH_RETURN


def cancel(house: House, payment_id: str) -> PaymentView:
    """Close the provider session of a payment that is not paid yet, so that its fees are free again.

    A payment that was paid meanwhile stays paid, one whose provider does not answer stays open:
    the view says so. LookupError when there is no such payment.
    """

    def work(payment: Payment) -> datetime | None:
        desk = house.libraries[payment.library]
        if payment.state not in UNPAID:
            return payment.due_at
        provider = desk.providers.get(payment.provider)
        attempt = _attempt(house, payment_id)
        if provider is None or not provider.capabilities().close:
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
            current = payments.load(unit, payment_id)
        if current is None or current.fence != payment.fence:
            return payment.due_at
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
