"""How long the Onleihe waits for us at a login, without what the library system takes for its answers.

Questions follow one another, each with the right PIN. Ours are HTTP, the two commits (with fsync) that count
the question against its card and take it back, and the rules. The asking client is as bare as can be: what it
takes is counted, too.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from stage import LIBRARY, staged

if TYPE_CHECKING:
    from stage import Stage

QUESTIONS = 100
OWN_MS = 10.0


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``onleihe_answer`` (our own milliseconds for an answer, median, with p90)."""
    with staged(measured=True) as stage, closing(_connected(stage)) as onleihe:
        _ask(stage, onleihe)  # imports, tokens, connections
        spans = [_ask(stage, onleihe) for _ in range(QUESTIONS)]
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


def _connected(stage: Stage) -> HTTPConnection:
    """Return the connection that is kept for all questions."""
    address = urlsplit(stage.address)
    return HTTPConnection(str(address.hostname), address.port, timeout=30)


def _ask(stage: Stage, onleihe: HTTPConnection) -> tuple[float, float]:
    """Ask once, as the Onleihe does; return when the question was sent and the answer read."""
    form = urlencode({"sno": stage.koha.demo_card, "pwd": stage.koha.demo_pin})
    start = time.monotonic()
    onleihe.request(
        "POST", f"/elending/{LIBRARY}/onleihe", form, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = onleihe.getresponse()
    text = answer.read().decode()
    end = time.monotonic()
    assert answer.status == 200, answer.status
    assert "<status>4</status>" in text, text
    return start, end


if __name__ == "__main__":
    for name, result in run().items():
        print(name, result)
