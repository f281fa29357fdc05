"""How long a patron waits for the fees page because of us: the whole wait without the library system's part.

The clock stands on the patron's side of the connection, so that parsing HTTP and waiting for a thread count.
"""

from __future__ import annotations

import http.client
import statistics
import time
from typing import Any
from urllib.parse import urlsplit

from stage import LIBRARY, staged

PAGES = 60
LIMIT_MS = 15.0


def run() -> dict[str, dict[str, Any]]:
    """Measure; return ``fees_page_own_ms`` (median, with p90)."""
    with staged(measured=True) as stage:
        browser, session = stage.visitor()
        stage.sign_in(browser)
        visitor = http.client.HTTPConnection(urlsplit(stage.address).netloc, timeout=30)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
        for _ in range(5):
            _fees_page(visitor, cookies)
        visits = [_fees_page(visitor, cookies) for _ in range(PAGES)]
        notes = stage.notes()
    own = [(to - begin - notes.outside(begin, to)) * 1000 for begin, to in visits]
    middle = statistics.median(own)
    return {
        "fees_page_own_ms": {
            "value": round(middle, 1),
            "limit": LIMIT_MS,
            "ratio": round(middle / LIMIT_MS, 2),
            "unit": "ms",
            "p90_ms": round(statistics.quantiles(own, n=10)[-1], 1),
            "pages": PAGES,
        }
    }


def _fees_page(visitor: http.client.HTTPConnection, cookies: str) -> tuple[float, float]:
    begin = time.monotonic()
    visitor.request("GET", f"/{LIBRARY}/fees", headers={"Cookie": cookies, "Accept-Language": "de"})
    answer = visitor.getresponse()
    page = answer.read()
    end = time.monotonic()
    assert answer.status == 200, answer.status
    assert b'type="checkbox"' in page, "the page shows no fee to choose"
    return begin, end


if __name__ == "__main__":
    for name, result in run().items():
        print(name, result)
