"""Several processes take the notices that came in: each takes others."""

from __future__ import annotations

from contextlib import closing

from ils_payment.store import attempts, intake
from tests.conftest import Town


def test_two_processes_at_once_take_different_notices_and_wait_for_nobody(postgresql_url):
    with closing(Town(postgresql_url)) as town:
        rows = [("lindental", "stripe", f"evt_{number}", "x", None, None, None) for number in range(5)]
        with town.house.store.unit() as unit:
            intake.store(unit, rows)
        with town.house.store.unit() as one, town.house.store.unit() as other:
            mine = {notice.key for notice in attempts.new_notices(one, 3, take=True)}
            theirs = {notice.key for notice in attempts.new_notices(other, 10, take=True)}
            seen = {notice.key for notice in attempts.new_notices(other, 10)}
    assert (len(mine), len(theirs), len(seen)) == (3, 2, 5)
    assert not mine & theirs
