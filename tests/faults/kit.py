"""What one operating system process makes once and uses for all its schedules."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import structlog

from ils_payment.flows.house import open_store
from ils_payment.plugins import Plugins
from ils_payment.store.upgrade import upgrade
from ils_payment.testing.world import SimulatedWorld
from tests.conftest import settings_for
from tests.faults.faulty_sqlite import Strings, pull
from tests.flows.renewing import system_table

INSTANCES = 3
CARDS = ("21234000012345", "21234000012383", "21234000012376", "21234000012369", "21234000012352")
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


class Kit:
    """Settings, plugins, the empty database, one store for each process of the program, and the log."""

    def __init__(self, folder: str | None = None) -> None:
        """Make a folder for the databases, in *folder* or in memory where there is a place for it."""
        if folder is None and MEMORY.is_dir():
            folder = str(MEMORY)
        self.folder = Path(tempfile.mkdtemp(prefix="ils-payment-faults-", dir=folder))
        self.path = self.folder / "ledger.db"
        self.settings = settings_for(f"sqlite:///{self.path}", test_cards=list(CARDS))
        selling = system_table(f"sqlite:///{self.path}")
        self.selling = settings_for(f"sqlite:///{self.path}", test_cards=list(CARDS), library_system=selling)
        """The settings of a library that sells card renewals."""
        self.plugins = Plugins(self.settings.plugin_names())
        world = SimulatedWorld()
        first = open_store(self.settings, world)
        upgrade(first)
        first.close()
        self.template = self.path.read_bytes()
        self.strings = Strings()
        self.stores = [open_store(self.settings, world) for _ in range(INSTANCES)]
        for store in self.stores:
            pull(store.engine, self.strings)
        self.logged: list[str] = []
        self.listen()

    def fresh_ledger(self) -> None:
        """Put the empty database where the stores look for it."""
        for store in self.stores:
            store.engine.dispose()
        for left in self.folder.glob("ledger.db*"):
            left.unlink()
        self.path.write_bytes(self.template)
        self.logged.clear()

    def listen(self) -> None:
        """Keep every line that the program logs, with tracebacks, as an administrator would read it."""
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=_Lines(self.logged),
            cache_logger_on_first_use=False,
        )
        root = logging.getLogger()
        if not any(isinstance(one, _Handler) for one in root.handlers):
            root.addHandler(_Handler(self.logged))

    def close(self) -> None:
        """Remove the databases."""
        for store in self.stores:
            store.engine.dispose()
        for handler in [one for one in logging.getLogger().handlers if isinstance(one, _Handler)]:
            logging.getLogger().removeHandler(handler)
        structlog.reset_defaults()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


class _Lines:
    """A logger factory of structlog: each line goes into a list."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __call__(self, *_args: Any) -> _Lines:
        return self

    def msg(self, line: str) -> None:
        self.lines.append(line)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _Handler(logging.Handler):
    """What the libraries log by the standard library's way."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
