"""How long ``ils-payment --help`` takes, and how much memory the running program holds."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stage import LIBRARY, staged

if TYPE_CHECKING:
    from stage import Stage

    from ils_payment.cli.walk import Browser

HELP_RUNS = 7
HELP_MS = 200.0
RSS_MB = 160.0
PAYMENTS = 5
READERS = 8
PAGES_EACH = 10


def help_time() -> dict[str, dict[str, Any]]:
    """Return ``help_ms``: the median of calls in turn with those of a bare Python, after a first one."""
    program = [str(Path(sys.executable).with_name("ils-payment")), "--help"]
    bare = [sys.executable, "-c", "pass"]
    _timed(program)
    pairs = [(_timed(program), _timed(bare)) for _ in range(HELP_RUNS)]
    ours = statistics.median(one for one, _ in pairs)
    python = statistics.median(one for _, one in pairs)
    result = {
        "value": round(ours),
        "limit": HELP_MS,
        "ratio": round(ours / HELP_MS, 2),
        "unit": "ms",
        "python_ms": round(python),
        "to_bare_python": round(ours / python, 1),
    }
    return {"help_ms": result}


def _timed(command: list[str]) -> float:
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - begin) * 1000


def memory() -> dict[str, dict[str, Any]]:
    """Return ``serve_rss_mb``: what ``ils-payment serve`` holds after pages, payments and webhooks."""
    with staged(measured=False) as stage:
        for _ in range(PAYMENTS):
            _pay_one(stage)
        # One after the other: the same card from many places at once looks like guessing.
        visitors = [_signed_in(stage) for _ in range(READERS)]
        with ThreadPoolExecutor(READERS) as readers:
            list(readers.map(lambda browser: _read_pages(stage, browser), visitors))
        status = Path(f"/proc/{stage.process.pid}/status").read_text(encoding="ascii")
    resident, peak = _megabytes(status, "VmRSS"), _megabytes(status, "VmHWM")
    result = {
        "value": round(resident, 1),
        "limit": RSS_MB,
        "ratio": round(resident / RSS_MB, 2),
        "unit": "MB",
        "peak_mb": round(peak, 1),
    }
    return {"serve_rss_mb": result}


def _pay_one(stage: Stage) -> None:
    """Let one payment be paid, and wait until Koha itself holds the fees as paid."""
    browser, _ = stage.visitor()
    confirmed = stage.confirm(browser)
    stage.pay(confirmed)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        fees = stage.koha.truth()["patrons"][str(stage.koha.patron_ids["erika"])]["fees"]
        if all(fees[fee]["outstanding"] == 0 for fee in confirmed.fees):
            return
        time.sleep(0.05)
    raise RuntimeError("a payment was not settled within 20 s")


def _signed_in(stage: Stage) -> Browser:
    browser, _ = stage.visitor()
    stage.sign_in(browser)
    return browser


def _read_pages(stage: Stage, browser: Browser) -> None:
    for _ in range(PAGES_EACH):
        browser.open(f"{stage.address}/{LIBRARY}/fees")


def _megabytes(status: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found, f"/proc tells no {name}"
    return int(found[1]) / 1024


if __name__ == "__main__":
    print(help_time())
    print(memory())
