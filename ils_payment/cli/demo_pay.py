"""``ils-payment demo --auto``: the patron pays all open fees, and the library system has them as paid."""

from __future__ import annotations

import threading
from typing import Any

from ils_payment.cli.demo_stage import LIBRARY, PATIENCE, Stage, Walked, truth_of
from ils_payment.cli.walk import Browser, Confirmed, JourneyError, confirm_everything, pay_by_card
from ils_payment.flows import show


def paid(stage: Stage) -> Walked:
    """Pay all fees of the demo's patron, and ask the library system itself whether they are paid."""
    session = stage.house.world.session(deadline=PATIENCE, max_bytes=5 * 1024 * 1024)
    browser = Browser(session)
    chosen = confirm_everything(
        browser, f"{stage.address}/{LIBRARY}/", stage.system.demo_card, stage.system.demo_pin
    )
    before = sum(truth_of(stage)["requests"].values())
    page = pay_by_card(browser, chosen.page)
    deadline = stage.house.world.monotonic() + PATIENCE
    while page.state != "settled" and stage.house.world.monotonic() < deadline:
        threading.Event().wait(0.05)
        page = browser.open(page.url)
    truth = truth_of(stage)
    payment = show.payment(stage.house, page.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1])
    if payment is None:
        raise JourneyError("The status page leads to no payment.")
    took = (payment.settled_at - payment.paid_at) if payment.settled_at and payment.paid_at else None
    line = {
        "state": payment.state,
        "amount": payment.cents,
        "paid_to_settled_ms": round(took.total_seconds() * 1000, 1) if took else None,
        "library_calls": sum(truth["requests"].values()) - before,
    }
    right = payment.state == "settled" and _is_paid(truth, stage.system.demo_card, chosen)
    return Walked(line, right=right, payment_id=payment.payment_id)


def _is_paid(truth: dict[str, Any], card: str, chosen: Confirmed) -> bool:
    """Compare the books with the journey: these fees closed by credits of this sum, nothing left over."""
    [patron] = [one for one in truth["patrons"].values() if one["card"] == card]
    marked = [one for one in patron["credits"].values() if one["marker"]]
    # Without ids of fees, the one that was chosen stands for all.
    whole = not set(chosen.fees) <= set(patron["fees"])
    fees = patron["fees"] if whole else chosen.fees
    closed = all(patron["fees"][fee]["outstanding"] == 0 for fee in fees)
    unapplied = sum(one["unapplied"] for one in marked)
    return closed and (sum(one["amount"] for one in marked), unapplied) == (chosen.cents, 0)
