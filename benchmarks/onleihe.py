"""How long the Onleihe waits for us at a login, without what the library system takes for its answers.

Questions follow one another, each with the right PIN. Ours are HTTP, the two commits (with fsync) that count
the question against its card and take it back, and the rules; so is what the asking client itself takes.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import requests
from stage import LIBRARY, staged

if TYPE_CHECKING:
    from stage import Stage

QUESTIONS = 100
OWN_MS = 10.0


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``onleihe_answer`` (our own milliseconds for an answer, median, with p90)."""
    with staged(measured=True) as stage, requests.Session() as session:
        _ask(stage, session)  # imports, tokens, connections
        spans = [_ask(stage, session) for _ in range(QUESTIONS)]
        notes = stage.notes()
    own = [(end - start - notes.outside(start, end)) * 1000 for start, end in spans]
    median = statistics.median(own)
    return {
        "onleihe_answer": {
            "value": round(median, 1),
            "limit": OWN_MS,
            "ratio": round(median / OWN_MS, 2),
            "unit": "ms",
            "p90_ms": round(statistics.quantiles(own, n=10)[-1], 1),
            "questions": QUESTIONS,
        }
    }


def _ask(stage: Stage, session: requests.Session) -> tuple[float, float]:
    """Ask once, as the Onleihe does; return when the question was sent and the answer read."""
    form = {"sno": stage.koha.demo_card, "pwd": stage.koha.demo_pin}
    start = time.monotonic()
    answer = session.post(f"{stage.address}/elending/{LIBRARY}/onleihe", data=form, timeout=30)
    end = time.monotonic()
    assert answer.status_code == 200, answer.status_code
    assert "<status>4</status>" in answer.text, answer.text
    return start, end


if __name__ == "__main__":
    for name, result in run().items():
        print(name, result)
