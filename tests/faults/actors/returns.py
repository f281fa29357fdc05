"""Money on its way back: answers that get lost, keys that are forgotten, refunds that fail days later."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator import NotPayableError

from tests.conftest import STRIPE
from tests.faults.switches import AFTERWARDS

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from tests.faults.setting import Setting

REFUNDS = "refunds.create"
DEBITS = "debits.add"
LATEST = 600
FORGOTTEN = 90_000
"""Stripe forgets a key after 24 hours; this is an hour more."""


def start(setting: Setting) -> None:
    """Stand beside both wires, and let the provider finish its refunds."""
    if not AFTERWARDS & set(setting.mix.chance):
        return
    _watch_refunds(setting)
    _watch_charges(setting)
    _finish(setting)


def _watch_refunds(setting: Setting) -> None:
    gate, mix, scheduler = setting.gates[STRIPE], setting.mix, setting.scheduler
    inner = gate.handle

    def handle(raw: RawRequest) -> Reply | None:
        reachable = scheduler.seconds >= gate.outage.until
        if not reachable or raw.method != "POST" or raw.path != "/v1/refunds":
            return inner(raw)
        _strike_beside(setting, raw)
        for name in ("refund_answer_lost", "refund_keys_forgotten"):
            if mix.strikes(name):
                scheduler.note(f"stripe: {name}")
                setting.stripe.faults.lose_answer(1, only=REFUNDS)
                reply = inner(raw)
                if name == "refund_keys_forgotten":
                    gate.outage.until, gate.outage.switch = scheduler.seconds + FORGOTTEN, name
                    # The storm has to last as long as that.
                    scheduler.spawn("provider", lambda: None, after=FORGOTTEN + 1000)
                return reply
        return inner(raw)

    gate.handle = handle


def _strike_beside(setting: Setting, raw: RawRequest) -> None:
    """Let somebody else take money of the same charge back, just before our refund arrives."""
    body = raw.body.decode()
    book, stripe = setting.stripe.book, setting.stripe
    session = next(
        (one for one in book.sessions.values() if one["payment_intent"] and one["payment_intent"] in body),
        None,
    )
    if session is None:
        return
    if setting.mix.strikes("refund_beside_ours"):
        cents = setting.mix.people_rng.choice((1, None))
        setting.scheduler.note("provider: a refund in the dashboard, beside ours")
        try:
            stripe.refund_in_dashboard(session["id"], cents)
        except NotPayableError as error:
            setting.scheduler.note(f"provider: {error}")
    elif setting.mix.strikes("chargeback_beside_ours") and not _is_disputed(setting, session):
        setting.scheduler.note("provider: a chargeback, beside our refund")
        dispute = stripe.dispute(session["id"])
        won = setting.mix.people_rng.choice((True, False))
        close = partial(stripe.close_dispute, dispute, won=won)
        setting.scheduler.spawn("provider", close, after=setting.mix.people_rng.choice((60, 5000)))


def _is_disputed(setting: Setting, session: dict[str, Any]) -> bool:
    disputes = setting.stripe.book.disputes.values()
    return any(one["payment_intent"] == session["payment_intent"] for one in disputes)


def _watch_charges(setting: Setting) -> None:
    gate, mix, koha = setting.koha_gate, setting.mix, setting.koha
    inner = gate.handle

    def handle(raw: RawRequest) -> Reply | None:
        reachable = setting.scheduler.seconds >= gate.outage.until
        if not reachable or raw.method != "POST" or not raw.path.endswith("/account/debits"):
            return inner(raw)
        told = next((name for name in _CHARGES if mix.strikes(name)), "")
        marker = json.loads(raw.body).get("internal_note")
        setting.scheduler.note(f"koha: counter-debit {marker} {told}")
        if told == "charge_applied_late":
            late = mix.people_rng.randint(1, LATEST)
            koha.apply_late(late, status=0, operation=DEBITS)
            setting.scheduler.spawn("koha:late", koha._catch_up, after=late + 0.001)
        elif told:
            koha.fail_next(1, status=0, operation=DEBITS, after_effect=told == "charge_answer_lost")
        return inner(raw)

    gate.handle = handle  # type: ignore[method-assign]  # this Koha only


_CHARGES = ("charge_answer_lost", "charge_not_applied", "charge_applied_late")


def _finish(setting: Setting) -> None:
    """Bring each pending refund to its end after hours, and some that had succeeded back again."""
    stripe, mix = setting.stripe, setting.mix
    inner = stripe.refund

    def refund(*arguments: Any) -> Any:
        made = inner(*arguments)
        if mix.calm:
            success, late = True, False
        else:
            pending = made["status"] == "pending"
            success = not (pending and mix.strikes("refund_pending_fails"))
            late = not pending and mix.strikes("refund_fails_late")
        if made["status"] == "pending" or late:
            after = mix.people_rng.choice((100, 3000, 20_000))
            setting.scheduler.spawn(
                "provider", partial(_end, setting, made["id"], success=success and not late), after=after
            )
        return made

    stripe.refund = refund  # type: ignore[assignment,method-assign]  # this Stripe only


def _end(setting: Setting, refund_id: str, *, success: bool) -> None:
    setting.scheduler.note(f"provider: the refund {refund_id} {'arrives' if success else 'comes back'}")
    setting.stripe.finish_refund(refund_id, success=success)
