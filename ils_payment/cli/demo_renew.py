"""The demo's other journey: an expired card with an open fee; ask the Onleihe, pay, renew, ask again."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ils_payment.cli.demo_provider import PROVIDERS
from ils_payment.cli.demo_stage import LIBRARY, PATIENCE, Stage, Walked, truth_of
from ils_payment.cli.walk import Browser, Confirmed, JourneyError, confirm_everything, pay_by_card
from ils_payment.flows import show, unblock
from ils_payment.model import Verdict
from ils_payment.store import chain
from ils_payment.store.tables import notices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ils_payment.flows.views import PaymentView

EXPIRED_CARD, EXPIRED_PIN = "21234000012376", "2345"
"""The patron of the simulated Koha whose card has ended."""
FIRST_CARD, FIRST_PIN = "21234000012352", "0815"
"""Who renews before anything is measured."""
CHILD_CARD, CHILD_PIN = "21234000012390", "4567"
"""The patron whose card has ended as well, and is renewed for nothing."""
ONLEIHE_PATH = f"/elending/{LIBRARY}/onleihe"

STEPS = ("paid_right", "renewed", "charged", "applied", "elending_answer")
"""What the trail of the payment says when, from the notice of the provider on."""

_Span = tuple[datetime, datetime]


def let_cards_expire(koha: Any) -> None:  # noqa: ANN401 - the simulated Koha has switches of its own
    """Let two cards have ended three days ago: a child's, and one with an overdue fee, not the annual one."""
    patron = koha.patron_ids["expired"]
    ended = (koha.world.now() - timedelta(days=3)).date().isoformat()
    koha.change(koha.patron_ids["child"], expiry_date=ended)
    koha.change(patron, expiry_date=ended)
    fees = koha.truth()["patrons"][str(patron)]["fees"]
    for line, fee in fees.items():
        # Not today: a credit of the desk in the very second of ours would be a question for a person.
        koha.waive(patron, int(line), fee["outstanding"], days_ago=1)
    koha.add_fee(patron, 450, "OVERDUE", "Wandern rund um den Brocken", status="RETURNED")


def renewed(stage: Stage) -> Walked:
    """Walk the journey, and say whether card, fees and Onleihe are as they should be."""
    # Somebody else comes first, so that loading libraries and building statements is not measured.
    jan = stage.system.patron_ids["jan"]
    stage.system.change(jan, expiry_date=stage.system.world.now().date().isoformat())
    _walk(stage, FIRST_CARD, FIRST_PIN)
    before = _onleihe(stage)
    calls = _listen(stage)
    payment, chosen = _walk(stage, EXPIRED_CARD, EXPIRED_PIN)
    after = _onleihe(stage)
    steps = _steps(stage, payment.payment_id)
    total = steps.get("elending_answer")
    line = {
        "state": payment.state,
        "renewed_until": payment.renewal.until.isoformat() if payment.renewal else None,
        "elending_before": before,
        "elending_after": after,
        "steps_ms": steps,
        "own_ms": round(total - _remote_ms(stage, payment.payment_id, calls), 1) if total else None,
    }
    right = (payment.state, after) == ("settled", "3") and before != "3" and _is_right(stage, chosen)
    return Walked(line, right=right, payment_id=payment.payment_id)


def _walk(stage: Stage, card: str, pin: str) -> tuple[PaymentView, Confirmed]:
    """Pay all fees and the renewal of one card; return the payment when the Onleihe's answer is known."""
    browser = Browser(stage.house.world.session(deadline=PATIENCE, max_bytes=5 * 1024 * 1024))
    chosen = confirm_everything(browser, f"{stage.address}/{LIBRARY}/", card, pin)
    page = pay_by_card(browser, chosen.page)
    deadline = stage.house.world.monotonic() + PATIENCE
    payment = _payment(stage, page.url)
    while not _is_answered(stage, payment) and stage.house.world.monotonic() < deadline:
        threading.Event().wait(0.25)
        payment = _payment(stage, page.url)
    return payment, chosen


def _payment(stage: Stage, url: str) -> PaymentView:
    payment = show.payment(stage.house, url.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", 1)[-1])
    if payment is None:
        raise JourneyError("The status page leads to no payment.")
    return payment


def _is_answered(stage: Stage, payment: PaymentView) -> bool:
    known = unblock.answers(stage.house, payment.payment_id)
    return payment.state == "settled" and any(one.verdict is not Verdict.CANNOT_TELL for one in known)


def _onleihe(stage: Stage) -> str:
    """Ask what the Onleihe asks at each login; return the status of the answer."""
    session = stage.house.world.session(deadline=PATIENCE, max_bytes=64 * 1024)
    answer = session.post(
        f"{stage.address}{ONLEIHE_PATH}", data={"sno": EXPIRED_CARD, "pwd": EXPIRED_PIN}
    ).text
    found = re.search(r"<status>(-?[0-9]+)</status>", answer)
    if found is None:
        raise JourneyError("The program gave the Onleihe no answer.")
    return found[1]


def _listen(stage: Stage) -> list[_Span]:
    """Note when each call to a remote began and ended, beside whoever listens already."""
    spans: list[_Span] = []
    told = stage.house.watch.seen
    system = stage.house.settings.libraries[LIBRARY].library_system.plugin

    def hear(library: str, remote: str, call: str, outcome: str, seconds: float) -> None:
        told(library, remote, call, outcome, seconds)
        if remote == system or remote in PROVIDERS:
            now = stage.house.world.now()
            spans.append((now - timedelta(seconds=seconds), now))

    stage.house.watch.seen = hear
    return spans


def _trail(stage: Stage, payment_id: str) -> list[dict[str, Any]]:
    with stage.house.store.read() as unit:
        return chain.read_audit(unit, payment_id)


def _began(stage: Stage, payment_id: str) -> datetime:
    """Return from when on the program could know: the provider's notice, or the payer's return before it."""
    learned: datetime = next(row["at"] for row in _trail(stage, payment_id) if row["what"] == STEPS[0])
    with stage.house.store.read() as unit:
        told = select(notices.c.received_at).where(notices.c.reference == payment_id)
        heard: list[datetime] = list(unit.connection.execute(told).scalars())
    return min(*heard, learned) if heard else learned


def _steps(stage: Stage, payment_id: str) -> dict[str, float]:
    """Return the milliseconds from the paid notice to each step, the last of its kind."""
    began = _began(stage, payment_id)
    at = {row["what"]: row["at"] for row in _trail(stage, payment_id)}
    return {step: round((at[step] - began).total_seconds() * 1000, 1) for step in STEPS if step in at}


def _remote_ms(stage: Stage, payment_id: str, calls: Sequence[_Span]) -> float:
    """Return the milliseconds in which the program only waited for the simulated remotes."""
    clock, waited = _began(stage, payment_id), timedelta()
    end = max(row["at"] for row in _trail(stage, payment_id))
    for start, stop in sorted(calls):
        waited += max(min(stop, end) - max(start, clock), timedelta())
        clock = max(clock, stop)
    return waited.total_seconds() * 1000


def _is_right(stage: Stage, chosen: Confirmed) -> bool:
    """Compare the simulated Koha's own books with what was sold: the expiry, and nothing left to pay."""
    [patron] = [one for one in truth_of(stage)["patrons"].values() if one["card"] == EXPIRED_CARD]
    paid = [one["amount"] for one in patron["credits"].values() if one["marker"]]
    return (
        patron["expiry_date"] == chosen.until
        and patron["balance"] == 0
        and sum(paid) == chosen.cents
        and [one["to"] for one in patron["expiry_changes"] if one["by"] == "api"] == [chosen.until]
    )
