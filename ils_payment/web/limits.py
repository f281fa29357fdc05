"""How often card and PIN may be wrong: per card, per address and per network; and in all of a library.

A sign-in is counted *before* the library system is asked, so that attempts in parallel cannot
slip through together, and taken back when it was no wrong PIN. Koha locks a card after five
wrong PINs; after three within an hour nobody is asked any more. What is counted is kept as an
HMAC only. The hour slides in steps of a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

import structlog

from ils_payment.store import sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ils_payment.flows.house import House
    from ils_payment.store.unit import Unit

MOST: Mapping[str, int] = {"card": 3, "address": 20, "network": 60}
"""Wrong PINs within an hour. Patrons of one reading room share an address, so it bears more."""

MOST_ASKED: Mapping[str, int] = {"card": MOST["card"], "address": 600}
"""The same for questions of an eLending platform: behind each of its few addresses are all patrons, and a
lower limit would let one stranger at its sign-in form shut it for everybody."""

MANY = 600
"""Wrong PINs within an hour in all of a library. More are an attack from many networks: sign-ins get
slower and the log calls for a person, but nobody is refused; else one attacker could shut the door."""

MOST_LOOKS: Mapping[str, int] = {"link": 60, "address": 120, "network": 600}
"""How often pay links are opened within an hour: each time the library system is asked."""

MOST_LEAVES: Mapping[str, int] = {"address": 120, "network": 600}
"""How often somebody without a session leaves for the identity provider within an hour: staff of one house
share an address, and sign in again after each idle quarter of an hour."""

HOUR = 3600
STEP = 60
AFTER_SILENCE = 600
"""A question without an answer counts against its card for ten minutes: it may have been a wrong PIN."""

_GATE = 0
"""The window of a row that every attempt writes first: so they wait for each other on both databases."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that was counted.

    ``before`` is how often the card was wrong within the hour before it, ``crowded`` whether
    the whole library gets more wrong PINs than its patrons type.
    """

    buckets: Mapping[str, str]
    window: int
    before: int
    crowded: bool


def reserve(house: House, library: str, card: str, address: str) -> Attempt | None:
    """Count a sign-in before it is tried; None when one of the limits is reached."""
    return reserve_counted(house, library, _buckets(house, library, card, address), MOST)


def reserve_asked(house: House, library: str, card: str, source: str) -> Attempt | None:
    """Count a sign-in that an eLending platform at *source* asks about, with those of the pages."""
    counted = {
        "card": _plain(card),
        "address": f"elending:{library}:{networks(source)[0]}",
        "library": library,
    }
    buckets = {what: name_of(house, what, value) for what, value in counted.items()}
    return reserve_counted(house, library, buckets, MOST_ASKED)


def reserve_counted(
    house: House, library: str, buckets: Mapping[str, str], most_of: Mapping[str, int]
) -> Attempt | None:
    """Count in *buckets*, of which ``card`` makes refusals slower and ``library`` has no limit.

    None when one of the limits *most_of* is reached.
    """
    window, counted, reached = _count(house, buckets, most_of)
    if reached:
        log.warning("sign_in_limited", library=library, limit=reached[0])
        return None
    crowded = counted["library"] >= MANY
    if crowded and counted["library"] % (MANY // 10) == 0:
        # Not for each attempt: whoever attacks must not be able to fill the disk as well.
        log.error("sign_in_attack", library=library, wrong_within_an_hour=counted["library"])
    return Attempt(buckets, window, counted["card"], crowded)


def may_look(house: House, library: str, link: str, address: str) -> bool:
    """Count that a pay link is opened; False when that happened too often within the hour."""
    single, network = networks(address)
    counted = {"link": link, "address": f"{library}:{single}", "network": f"{library}:{network}"}
    buckets = {what: name_of(house, f"look-{what}", value) for what, value in counted.items()}
    _, _, reached = _count(house, buckets, MOST_LOOKS)
    if reached:
        log.warning("link_limited", library=library, limit=reached[0])
    return not reached


def may_leave(house: House, address: str) -> bool:
    """Count that somebody leaves for the identity provider; False when that was too often within the hour."""
    single, network = networks(address)
    counted = {"address": single, "network": network}
    buckets = {what: name_of(house, f"leave-{what}", value) for what, value in counted.items()}
    _, _, reached = _count(house, buckets, MOST_LEAVES)
    if reached:
        log.warning("staff_oidc_limited", limit=reached[0])
    return not reached


def _count(
    house: House, buckets: Mapping[str, str], most_of: Mapping[str, int]
) -> tuple[int, dict[str, int], list[str]]:
    """Count one in each bucket unless a limit is reached; return window, counts before, reached limits."""
    with house.store.unit() as unit:
        window = _window(unit)
        _line_up(unit, buckets)
        found = sessions.counted(unit, list(buckets.values()), window - HOUR)
        counted = {what: found[bucket] for what, bucket in buckets.items()}
        reached = [what for what, most in most_of.items() if counted[what] >= most]
        if not reached:
            _add(unit, sorted(buckets.values()), window)
    return window, counted, reached


def taken_back(house: House, attempt: Attempt) -> None:
    """Take the attempt back: it was no wrong PIN."""
    with house.store.unit() as unit:
        _take_back(unit, attempt)


def unanswered(house: House, attempt: Attempt) -> None:
    """Take the attempt back, but count it against its card for ten minutes."""
    with house.store.unit() as unit:
        _take_back(unit, attempt)
        _add(unit, [attempt.buckets["card"]], attempt.window - HOUR + AFTER_SILENCE)


def _line_up(unit: Unit, buckets: Mapping[str, str]) -> None:
    """Wait for all others that count one of *buckets*, before anything else of them is touched.

    In one order always, so that nobody waits for somebody else in a circle.
    """
    sessions.count(unit, sorted(buckets.values()), _GATE, unit.now + timedelta(seconds=2 * HOUR))


def _take_back(unit: Unit, attempt: Attempt) -> None:
    _line_up(unit, attempt.buckets)
    sessions.uncount(unit, sorted(attempt.buckets.values()), attempt.window)


def _add(unit: Unit, buckets: Sequence[str], window: int) -> None:
    sessions.count(unit, buckets, window, unit.now + timedelta(seconds=HOUR + 2 * STEP))


def _window(unit: Unit) -> int:
    now = int(unit.now.timestamp())
    return now - now % STEP


def _buckets(house: House, library: str, card: str, address: str) -> dict[str, str]:
    """Return what is counted, each as an HMAC: nobody can read a card number out of the table.

    Only a card is counted over all libraries together: two of them may share one library system.
    """
    single, network = networks(address)
    counted = {
        "card": _plain(card),
        "address": f"{library}:{single}",
        "network": f"{library}:{network}",
        "library": library,
    }
    return {what: name_of(house, what, value) for what, value in counted.items()}


def name_of(house: House, what: str, value: str) -> str:
    """Return the name under which *value* is counted."""
    return hmac.new(house.installation.secret, f"count:{what}:{value}".encode(), hashlib.sha256).hexdigest()


def _plain(card: str) -> str:
    """Reduce a card number to letters and digits.

    A database may take "A 12", "a12" and full-width digits for the same card; so do we.
    """
    return "".join(sign for sign in unicodedata.normalize("NFKD", card).casefold() if sign.isalnum())


@lru_cache(maxsize=1024)  # Each notice of a provider asks, and parsing takes longer than all the rest.
def networks(address: str) -> tuple[str, str]:
    """Return the address (IPv6: its /64, one net of a household) and its network (/24, /48).

    Providers give a customer up to a /48 of IPv6, so that is what one attacker may have for nothing.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address, address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    near, far = (64, 48) if parsed.version == 6 else (32, 24)
    return tuple(str(ip_network((parsed, bits), strict=False)) for bits in (near, far))  # type: ignore[return-value]  # two of them
