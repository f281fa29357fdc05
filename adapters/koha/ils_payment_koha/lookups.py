"""Questions to Koha beside the payment: titles of items, cards that end soon, what categories cost.

Facts marked *seen* were seen on a running Koha 23.05.04, *read* in the code of Koha.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog

from ils_payment.errors import RemoteError, RemoteGarbledError
from ils_payment_koha import patrons, wire
from ils_payment_koha.refusals import refuse
from ils_payment_koha.titles import title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ils_payment.model import CategoryFee, ExpiringCard, Fee
    from ils_payment.ports import Host
    from ils_payment_koha.client import KohaClient

log = structlog.get_logger(__name__)

_TITLES = 20
"""More titles than these are not looked up, so that a long list of fees does not make a page slow."""

_TITLE_SECONDS = 5.0
"""The time that all of them may take together, but for the last call."""

_PAGE = 100
"""Patrons in one answer: a record is some kilobytes long, and an answer is read up to a limit."""


def titles(client: KohaClient, host: Host, fees: Sequence[Fee]) -> Mapping[str, str]:
    """Look titles up by item and record; what cannot be had is left out and never hinders paying."""
    items = sorted({int(fee.item) for fee in fees if fee.item and fee.item.isdigit()})[:_TITLES]
    found: dict[str, str] = {}
    if not items:
        return found
    started = host.monotonic()
    try:
        query = {"q": json.dumps({"item_id": {"-in": items}}), "_per_page": str(_TITLES)}
        listed = client.read("/items", query=query, deadline=_TITLE_SECONDS)
        for record, item_ids in _items_by_record(listed).items():
            if host.monotonic() - started > _TITLE_SECONDS:
                log.warning("koha_titles_left_out", library=host.library.key, reason="too slow")
                break
            text = _title(client, record)
            found |= dict.fromkeys(item_ids, text) if text else {}
    except RemoteError as error:
        log.warning("koha_titles_left_out", library=host.library.key, reason=str(error))
    return found


def _title(client: KohaClient, record: int) -> str | None:
    """Read one record; None when it is gone."""
    answer = client.ask(
        "GET", f"/biblios/{record}", accept="application/marc-in-json", deadline=_TITLE_SECONDS
    )
    if answer.status == 404:
        return None
    if answer.status != 200:
        refuse(answer)
    return title(answer.body) if isinstance(answer.body, dict) else None


def _items_by_record(listed: object) -> dict[int, list[str]]:
    """Group the listed items by their record."""
    by_record: dict[int, list[str]] = {}
    for entry in wire.lines(listed):
        item, record = (
            entry.get(key) if isinstance(entry, dict) else None for key in ("item_id", "biblio_id")
        )
        if isinstance(item, int) and isinstance(record, int):
            by_record.setdefault(record, []).append(str(item))
    return by_record


def expiring(client: KohaClient, host: Host, since: date, until: date) -> Sequence[ExpiringCard]:
    """List the patrons whose card ends from *since* to *until*; raise RemoteError.

    Each call asks for the patrons behind the last one, by their ids, instead of for a page by its
    number: who is renewed or deleted between two calls shifts nobody out of sight. The operators of the
    query are read in the code, the header that counts was seen.
    """
    found: list[ExpiringCard] = []
    last, withheld, more = 0, 0, True
    between = {"-between": [since.isoformat(), until.isoformat()]}
    while more:
        query = {
            "q": json.dumps({"expiry_date": between, "patron_id": {">": last}}),
            "_order_by": "patron_id",
            "_per_page": str(_PAGE),
        }
        answer = client.read_dated("/patrons", query=query)
        listed = wire.lines(answer.body)
        cards = [patrons.expiring_card(entry) for entry in listed]
        found += [card for card in cards if card is not None]
        withheld += cards.count(None)
        ids = [patrons.patron_number(entry) for entry in listed]
        if ids and (ids != sorted(set(ids)) or ids[0] <= last):
            raise RemoteGarbledError(
                "Koha lists patrons in another order than it was asked for.",
                mend="Does this version of Koha fit? See docs/koha.md.",
            )
        last = ids[-1] if ids else last
        # X-Total-Count is how many there are behind the last one (seen), so this page may be all of them.
        more = bool(ids) and (answer.total is None or answer.total > len(ids))
    if withheld:
        log.warning("koha_expiring_left_out", library=host.library.key, patrons=withheld)
    return found


def category_fees(client: KohaClient, currency: str) -> Sequence[CategoryFee]:
    """Read the patron categories with their fees; raise RemoteError.

    The path and its fields are read in the specification of 26.02, not seen; 23.05.04 has none.
    """
    listed = client.read("/patron_categories", query={"_per_page": "-1"})
    return [patrons.category_fee(entry, currency) for entry in wire.lines(listed)]
