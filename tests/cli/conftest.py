"""Runs the command line in this process as a shell would see it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from dataclasses import dataclass

import pytest
import structlog

from ils_payment.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch):
    for name in ("ILS_PAYMENT_CONFIG", "KOHA_CLIENT_SECRET", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ils_payment(capsys, monkeypatch):
    """Call it with arguments; it returns exit code, standard output and standard error."""
    root = logging.getLogger()
    handlers, level, hook = list(root.handlers), root.level, threading.excepthook
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run(*arguments) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ils-payment", *(str(one) for one in arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    yield run
    # The command line logs to the standard error of its own run, which is closed by now.
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    threading.excepthook = hook
    for number, handler in signals.items():
        signal.signal(number, handler)
