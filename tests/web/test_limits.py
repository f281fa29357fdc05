"""Counting: what is one card, one address, one network; and that two attempts wait for each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ils_payment.store.sessions import purge
from ils_payment.web import limits


@pytest.mark.parametrize(
    ("address", "single", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("2001:db8:1:ff00::1", "2001:db8:1:ff00::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("unix:", "unix:", "unix:"),
        ("", "", ""),
    ],
)
def test_an_address_and_its_network(address, single, network):
    assert limits.networks(address) == (single, network)


@pytest.mark.parametrize(
    "typed", ["A 12-3", "a123", " A123 ", "\uff21\uff11\uff12\uff13", "a\u00ad123", "a1.2/3"]
)
def test_one_card_however_it_is_typed(typed):
    assert limits._plain(typed) == "a123"


def test_what_is_counted_cannot_be_read(doors):
    limits.reserve(doors.house, "lindental", "21234000012345", "203.0.113.7")
    limits.reserve(doors.house, "seehausen", "21234000012345", "203.0.113.7")
    buckets = {row.bucket for row in doors.rows("counters")}
    assert len(buckets) == 7, "the card is one, whichever library was asked"
    assert all(len(bucket) == 64 and set(bucket) <= set("0123456789abcdef") for bucket in buckets)


def test_the_hour_slides(each_doors):
    house, world = each_doors.house, each_doors.world

    def attempt():
        return limits.reserve(house, "lindental", "1", "203.0.113.7") is not None

    assert attempt()
    world.pass_time(minutes=50)
    assert attempt()
    assert attempt()
    assert not attempt()
    world.pass_time(minutes=9)
    assert not attempt(), "59 minutes after the first"
    world.pass_time(minutes=3)
    assert attempt()
    assert not attempt(), "the other two are not an hour old"


def test_no_hour_ever_holds_more_than_three(each_doors):
    """Whenever attempts come, no sixty minutes see more than three: not six around a full hour."""
    asked = []
    for _ in range(200):
        if limits.reserve(each_doors.house, "lindental", "1", "203.0.113.7"):
            asked.append(each_doors.world.now())
        each_doors.world.pass_time(minutes=1, seconds=7)
    for start in asked:
        assert sum(0 <= (one - start).total_seconds() < 3600 for one in asked) <= 3
    assert len(asked) >= 9


def test_fifty_attempts_at_once_are_counted_one_after_the_other(each_doors):
    with ThreadPoolExecutor(10) as threads:
        found = list(
            threads.map(
                lambda n: limits.reserve(each_doors.house, "lindental", f"{n % 5}", f"203.0.113.{n}"),
                range(50),
            )
        )
    assert sum(attempt is not None for attempt in found) == 15


def test_a_reservation_is_taken_back_whole(each_doors):
    house = each_doors.house
    for _ in range(10):
        attempt = limits.reserve(house, "lindental", "1", "203.0.113.7")
        assert attempt is not None
        assert attempt.before == 0
        limits.taken_back(house, attempt)
    assert all(row.count == 0 for row in each_doors.rows("counters") if row.window)


def test_a_card_has_three_tries_over_all_libraries_of_the_installation(doors):
    """Two libraries of one installation may share a Koha, which locks the card after five."""
    for library in ("lindental", "seehausen", "lindental"):
        assert limits.reserve(doors.house, library, "1", "203.0.113.7")
    assert limits.reserve(doors.house, "seehausen", "1", "203.0.113.7") is None


def test_sign_ins_never_wait_for_each_other_in_a_circle(each_doors):
    """Those that begin, that are taken back and that are purged touch the same rows, in one order only."""
    house, world = each_doors.house, each_doors.world

    def sign_in(number):
        card, library = f"card {number % 7}", ("lindental", "seehausen")[number % 2]
        attempt = limits.reserve(house, library, card, f"203.0.113.{number % 5}")
        if attempt is not None:
            (limits.unanswered if number % 11 == 0 else limits.taken_back)(house, attempt)
        if number % 10 == 0:
            # All that was counted before is old enough to be purged, while others use it again.
            world.pass_time(hours=3)
            with house.store.unit() as unit:
                purge(unit, unit.now)
        return attempt is not None

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(sign_in, range(240)))
    assert sum(found) > 200
