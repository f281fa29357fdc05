"""Two transactions of PostgreSQL that meet: one has not committed yet, and the other waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ils_payment.flows import observe
from ils_payment.model import Observation, PayState
from ils_payment.store import claims
from tests.conftest import Town
from tests.flows.truths import load

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def meet_at_the_commit(
    patch: pytest.MonkeyPatch,
    url: str,
    payment_id: str,
    settle: Callable[[], object],
    other: Callable[[], object],
) -> None:
    """Begin *other* once *settle* has freed the claims of the payment, and commit when it waits for them."""
    real, freed = claims.free, threading.Event()

    def free(unit: Any, one: str) -> None:
        real(unit, one)
        if one == payment_id and not freed.is_set():
            freed.set()
            wait_for_waiting(url)

    def follow() -> None:
        assert freed.wait(20)
        other()

    patch.setattr(claims, "free", free)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        settle()
        following.result(30)


def wait_for_waiting(url: str, seconds: float = 5) -> None:
    """Return as soon as somebody waits for a lock in the database."""
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    end = time.monotonic() + seconds
    with engine.connect() as outside:
        while not outside.execute(_WAITING).scalar_one() and time.monotonic() < end:
            time.sleep(0.02)
    engine.dispose()


def learn(town: Town, payment_id: str, state: PayState, captured: int = 0) -> None:
    """Let the provider say this of a payment's session."""
    payment = load(town, payment_id)
    seen = Observation(
        state=state,
        captured=captured,
        currency=payment.currency,
        account="",
        live=payment.live,
        reference=payment_id,
        final=state is PayState.VOID,
        evidence="told",
    )
    observe.learn(town.house, town.desk, payment, seen)
