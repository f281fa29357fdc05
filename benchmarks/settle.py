"""How long a paid fee waits for us: from the committed notice to the settled payment, without the remotes.

Payments follow one another. What Koha and the provider take for their answers is measured at each outside
call and taken away; the rest is ours: waking, the ledger's commits (with fsync), the rules.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from stage import COMMITTED, staged

if TYPE_CHECKING:
    from stage import Stage

PAYMENTS = 40
NET_MS = 50.0
CALLS = 6
"""Four to settle; two more read what the Onleihe will say now."""
PATIENCE = 20.0


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``settle_net_ms`` (median, with p90) and ``settle_library_calls`` (the most of all)."""
    with staged(measured=True) as stage:
        _settle_one(stage)  # imports, tokens, connections
        measured = [_settle_one(stage) for _ in range(PAYMENTS)]
    nets = [net * 1000 for net, _ in measured]
    calls = max(calls for _, calls in measured)
    net = statistics.median(nets)
    return {
        "settle_net_ms": {
            "value": round(net, 1),
            "limit": NET_MS,
            "ratio": round(net / NET_MS, 2),
            "unit": "ms",
            "p90_ms": round(statistics.quantiles(nets, n=10)[-1], 1),
            "payments": PAYMENTS,
        },
        "settle_library_calls": {
            "value": calls,
            "limit": CALLS,
            "ratio": round(calls / CALLS, 2),
            "unit": "calls",
        },
    }


def _settle_one(stage: Stage) -> tuple[float, int]:
    """Let one payment be paid; return our own seconds until it was settled, and the calls to Koha."""
    browser, _ = stage.visitor()
    confirmed = stage.confirm(browser)
    calls = stage.library_calls()
    paid = time.monotonic()
    stage.pay(confirmed)
    deadline = paid + PATIENCE
    while time.monotonic() < deadline:
        # Asking is rare, so that it does not itself slow down what is measured.
        time.sleep(0.15)
        notes = stage.notes()
        settled = notes.first("settle.applied", paid)
        if settled is not None:
            committed = notes.first(COMMITTED, paid)
            assert committed is not None, "the payment was settled without a notice"
            return settled - committed - notes.outside(committed, settled), stage.library_calls() - calls
    raise RuntimeError(f"a payment was not settled within {PATIENCE:.0f} s")


if __name__ == "__main__":
    for name, result in run().items():
        print(name, result)
