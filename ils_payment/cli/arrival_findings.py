"""What ``ils-payment check`` finds about the ways in which patrons come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.model import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.flows.desk import Desk


def of_arrival(desk: Desk) -> Iterator[Finding]:
    """Tell the ways in that are open, and which one is configured in vain; without any no desk is opened."""
    ways = ("handed over by the OPAC", desk.hands_over), ("card number and PIN", desk.signs_in)
    yield Finding(Level.OK, "ways in", " and ".join(way for way, is_open in ways if is_open))
    where = f"libraries.{desk.key}.arrival"
    if desk.settings.arrival.keys and not desk.hands_over:
        yield Finding(
            Level.WARNING,
            "ways in",
            "the OPAC has a key, but this library system knows patrons by references that only this program "
            "can make: each link would be refused",
            f"Remove [[{where}.keys]], and no link to /{desk.key}/arrive in the OPAC.",
        )
