"""Starts the program's processes for ``make kill``: imports everything once, then forks one for each start.

What a process does after the fork is what ``ils-payment serve`` and ``worker`` do, with a database
connection, threads and a death of its own; only the seconds that importing takes are saved. The
waits that a person would not sit through are shorter here, each still longer than what it has to
outlast: calls end within three seconds, leases after eight, a lost call's effect within two.

Reads lines of a log file's path and the program's arguments, with tabs between them, from standard
input, and answers each with the process id. Only with ``--hurry`` the waits are shorter.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

# Whatever a process needs is imported before the fork.
import ils_payment_koha
import ils_payment_procrastinate
import ils_payment_stripe
import uvicorn
import uvicorn.lifespan.on
import uvicorn.protocols.http.httptools_impl

from ils_payment.cli import serve
from ils_payment.cli.main import main
from ils_payment.flows import charge, freeze, hands, observe, pay, readback, renew, renew_late, settle, work
from ils_payment.web import app, serving

if TYPE_CHECKING:
    from datetime import datetime

    from ils_payment.flows.desk import Desk
    from ils_payment.flows.house import House
    from ils_payment.store.records import Payment

IMPORTED = (ils_payment_koha, ils_payment_procrastinate, ils_payment_stripe, uvicorn, serve, app, serving)
LEASE_SECONDS = 8.0
SEND_WITHIN = timedelta(seconds=4)
QUARANTINE = timedelta(seconds=14)
SOON = timedelta(seconds=4)


def hurry() -> None:
    """Shorten the waits of the product in this process and all that are forked from it."""

    def quarantine(_desk: Desk) -> timedelta:
        return QUARANTINE

    def backoff(_house: House, _payment: Payment) -> timedelta:
        return SOON

    def next_look(house: House, payment: Payment) -> datetime | None:
        long = observe_next_look(house, payment)
        return None if long is None else min(long, house.world.now() + 5 * SOON)

    observe_next_look = observe.next_look
    for module in (hands, settle):
        module.LEASE_SECONDS = LEASE_SECONDS  # type: ignore[attr-defined]  # settle has it from hands
        module.backoff = backoff  # type: ignore[attr-defined]  # as above
    for module in (work, settle, readback, charge, renew_late):
        module.quarantine = quarantine  # type: ignore[attr-defined]  # the others have it from work
    for module in (work, settle, charge, renew):
        module.SEND_WITHIN = SEND_WITHIN  # type: ignore[attr-defined]  # as above
    observe.next_look = next_look
    freeze.FIRST_LOOK = pay.LOOK_UP_UNCLEAR = SOON


def become(log: str, arguments: list[str]) -> None:
    """Turn this forked process into the program."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing, out = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
    )
    for number, handle in ((0, nothing), (1, out), (2, out)):
        os.dup2(handle, number)
    sys.argv = ["ils-payment", *arguments]
    main()


def launch() -> None:
    """Fork as asked, until standard input ends."""
    if "--hurry" in sys.argv:
        hurry()
    # Nobody waits for the forked ones: the kernel takes them away.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        log, *arguments = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            become(log, arguments)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    launch()
