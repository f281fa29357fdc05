"""What a remote does once in a lifetime: another reference, another mode, an answer that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.conftest import STRIPE

if TYPE_CHECKING:
    from ils_payment.model import RawRequest, Reply
    from tests.faults.remotes import StripeGate
    from tests.faults.setting import Setting


def start(setting: Setting) -> None:
    """Let the oddities of this seed happen."""
    mix = setting.mix
    if mix.has("reference_altered") or mix.has("mode_altered"):
        _alter_paid_sessions(setting)
    if mix.has("ils_answer_garbled"):
        _garble_answers(setting)
    if mix.has("stall"):
        _stand_still_around_the_call(setting)
    stubborn = [name for name in ("ils_lost_not_applied", "ils_applied_late") if mix.has(name)]
    if stubborn and setting.rng.random() < 0.3:
        _stay_stubborn(setting, stubborn)
    if mix.has("credit_appears"):
        setting.scheduler.spawn("credit", lambda: _let_credit_appear(setting))


def _alter_paid_sessions(setting: Setting) -> None:
    """Let a session that was paid carry another reference, or tell another mode to whoever reads it."""
    stripe, mix = setting.stripe, setting.mix
    gate: StripeGate = setting.gates[STRIPE]
    complete, inner = stripe._complete, gate.handle
    in_other_mode: set[str] = set()

    def altered(session: dict[str, Any], payment_status: str) -> None:
        if payment_status == "paid" and mix.strikes("reference_altered"):
            session["client_reference_id"] = "0123456789ABCDEFGHJKMNPQRS"
        elif payment_status == "paid" and mix.strikes("mode_altered"):
            session["of_other_mode"] = True
            in_other_mode.add(session["id"])
        complete(session, payment_status)

    def handle(raw: RawRequest) -> Reply | None:
        reply = inner(raw)
        if reply is None or raw.method != "GET" or raw.path.rsplit("/", 1)[-1] not in in_other_mode:
            return reply
        return replace(reply, body=reply.body.replace(b'"livemode": false', b'"livemode": true'))

    stripe._complete = altered  # type: ignore[method-assign]  # this Stripe only
    gate.handle = handle  # type: ignore[method-assign]  # this Stripe only


def _stay_stubborn(setting: Setting, names: list[str]) -> None:
    """Let settle calls go wrong again and again, for longer than all repetitions take."""
    for name in names:
        setting.mix.left[name] = 9
        setting.mix.chance[name] = 0.8 if len(names) == 1 else 0.5
    setting.scheduler.spawn("stubborn", lambda: setting.scheduler.sleep(5000))


def _stand_still_around_the_call(setting: Setting) -> None:
    """Let workers fall asleep where it matters most: just before and just after the settle call."""
    ambush, scheduler, rng = setting.world.ambush, setting.scheduler, setting.rng
    places = ("settle.before_call", "koha.settle.before", "settle.after_call")

    def sleepy(name: str) -> None:
        ambush(name)
        if name in places and not setting.mix.calm and rng.random() < 0.1:
            setting.mix.fired["stall"] += 1
            scheduler.note(f"a worker falls asleep at {name}")
            scheduler.sleep(rng.choice((70, 130, 400, 1000)))

    setting.world.ambush = sleepy


def _garble_answers(setting: Setting) -> None:
    gate = setting.koha_gate
    inner = gate.handle

    def handle(raw: RawRequest) -> Reply | None:
        reply = inner(raw)
        booked = raw.method == "POST" and raw.path.endswith("/account/credits")
        if reply is not None and booked and reply.status == 201 and setting.mix.strikes("ils_answer_garbled"):
            setting.scheduler.note("koha: the answer to a credit cannot be read")
            return replace(reply, body=b'{"account_line_id": 1}')
        return reply

    gate.handle = handle  # type: ignore[method-assign]  # this Koha only


def _let_credit_appear(setting: Setting) -> None:
    setting.scheduler.sleep(setting.rng.choice((5, 30, 300, 2500)))
    patron = int(setting.rng.choice(setting.patrons))
    if setting.mix.calm or patron not in setting.koha.tables.patrons:
        return
    setting.mix.fired["credit_appears"] += 1
    setting.scheduler.note(f"clerk: a credit appears for patron {patron}")
    setting.koha.add_open_credit(patron, setting.rng.choice((100, 2000, 9000)))
