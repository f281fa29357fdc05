"""The day of an instant is the library's own, wherever the program runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from ils_payment.ports import LibraryInfo


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Pacific/Auckland", datetime(2026, 3, 9, 11, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 10, 4, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_the_librarys_own_midnight(town, zone, midnight):
    info = LibraryInfo(key="x", name="X", currency="EUR", languages=("de",), time_zone=zone)
    desk = replace(town.desk, settings=town.desk.settings.model_copy(update={"time_zone": zone}))
    for day_of in (info.day_of, desk.day_of):
        assert day_of(midnight) == date(2026, 3, 10)
        assert day_of(midnight - timedelta(seconds=1)) == date(2026, 3, 9)
