"""What the tests of runners share: a stand-in for the ledger, and runners that end with the test."""

from __future__ import annotations

import threading
import time

import pytest
from ils_payment_procrastinate.runner import ProcrastinateRunner

PATIENCE = 30.0


def wait_until(condition, seconds=PATIENCE):
    """Wait until *condition* is true; fail when it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Ledger:
    """What is due, and who advanced it: a payment stays due until somebody has advanced it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.due, self.advanced = set(), []
        self.inside = 0

    def name_due(self, limit):
        with self._lock:
            return sorted(self.due)[:limit]

    def advance_as(self, host):
        def advance(payment_id):
            with self._lock:
                self.advanced.append((host, payment_id))
                self.due.discard(payment_id)

        return advance


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def hosts(postgresql_url, ledger):
    """Start runners that share one database; all are stopped at the end."""
    started = []

    def start(*names, url=postgresql_url):
        ProcrastinateRunner(url).upgrade()
        for name in names:
            runner = ProcrastinateRunner(url)
            runner.start(ledger.advance_as(name), ledger.name_due)
            started.append(runner)
        return started[-len(names) :]

    yield start
    for runner in started:
        runner.stop()
