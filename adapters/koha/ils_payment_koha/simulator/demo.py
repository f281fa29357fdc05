"""A small municipal library, made up: enough of it to show and to test every kind of fee and patron."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ils_payment_koha.simulator.desk import Desk

CARD = "21234000012345"
PIN = "4711"
RIGHTS = ("borrowers", "updatecharges:remaining_permissions", "catalogue")
"""What the demo's API user needs: all of ``borrowers`` for the password validation."""

_BOOKS = (
    (
        "9783990001011", "Larsen, Meret", "Der Sommer am Wehr :", "Roman /", "Meret Larsen",
        "Hamburg", "Deichkante", "2024", "334 Seiten",
    ),
    (
        "9783990001028", "Okafor, Jonas", "Brot backen ohne Hast :", "60 Rezepte /", "Jonas Okafor",
        "München", "Ofenwarm", "2023", "176 Seiten",
    ),
    (
        "9783990001035", "Petrović, Ana", "Das Mädchen und der Marder /", "", "Ana Petrović",
        "Leipzig", "Buchfink", "2022", "64 Seiten",
    ),
    (
        "9783990001042", "Weidlich, Tom", "Wandern rund um den Brocken :", "40 Touren /", "Tom Weidlich",
        "Goslar", "Harzfeder", "2021", "208 Seiten",
    ),
)  # fmt: skip


def fill(desk: Desk, *, client_id: str, client_secret: str, rights: Iterable[str] = RIGHTS) -> dict[str, int]:
    """Fill *desk*'s Koha; return the patrons' ids by short name (``erika``, ``jan``, ...)."""
    desk.add_library(
        "ZENTRALE", "Stadtbücherei Lindental", address1="Marktplatz 3", postal_code="38899", country="DE"
    )
    desk.add_library("NORD", "Stadtbücherei Lindental, Zweigstelle Nord", country="DE")
    for category, fee, name in (
        ("ERW", 1500, "Erwachsene"),
        ("KIND", 0, "Kinder"),
        ("MITARB", 0, "Personal"),
    ):
        desk.add_category(category, fee, name=name)
    _staff(desk, client_id=client_id, client_secret=client_secret, rights=rights)
    items = [_book(desk, number, entry) for number, entry in enumerate(_BOOKS, start=1)]
    ids = {
        "erika": _patron(desk, CARD, PIN, "Erika", "Mustermann", valid_days=200),
        "jan": _patron(desk, "21234000012352", "0815", "Jan", "Tietze", valid_days=300),
        "blocked": _patron(desk, "21234000012369", "1234", "Selma", "Aydin", valid_days=90, restricted=True),
        "expired": _patron(desk, "21234000012376", "2345", "Ole", "Brinkmann", valid_days=-40),
        "credit": _patron(desk, "21234000012383", "3456", "Greta", "Vogel", valid_days=150),
        "child": _patron(
            desk, "21234000012390", "4567", "Mia", "Mustermann", valid_days=150, category_id="KIND"
        ),
    }
    _erikas_fees(desk, ids["erika"], items)
    desk.add_fee(ids["jan"], 150, "RESERVE", "Vormerkung: Wandern rund um den Brocken", library_id="NORD")
    desk.add_fee(
        ids["blocked"], 2250, "OVERDUE", "2. Mahnung", status="RETURNED", library_id="ZENTRALE", days_ago=20
    )
    desk.add_fee(ids["expired"], 1500, "ACCOUNT_RENEW", "", interface="cron", user_id=None, days_ago=40)
    desk.add_fee(ids["credit"], 800, "MANUAL", "Fernleihe", library_id="ZENTRALE", days_ago=3)
    desk.add_open_credit(ids["credit"], 300, note="Erstattung Ersatzexemplar")
    return ids


def _erikas_fees(desk: Desk, erika: int, items: list[int]) -> None:
    """Charge 12.50 to pay online; on top a fine that still grows and an old line that was handed over."""
    more: dict[str, Any] = {"library_id": "ZENTRALE"}
    desk.add_fee(
        erika, 3500, "MANUAL", "Altforderung 2019 (an die Stadtkasse abgegeben)", days_ago=2400, **more
    )
    desk.add_fee(
        erika, 450, "OVERDUE", "Der Sommer am Wehr", status="RETURNED", item_id=items[0], days_ago=12, **more
    )
    desk.add_fee(
        erika, 150, "RESERVE", "Vormerkung: Brot backen ohne Hast", item_id=items[1], days_ago=9, **more
    )
    desk.add_fee(erika, 250, "NEW_CARD", "Ersatzausweis", days_ago=7, **more)
    desk.add_fee(erika, 400, "MANUAL", "Fernleihe (2 Bestellungen)", days_ago=5, **more)
    desk.add_fee(
        erika,
        220,
        "OVERDUE",
        "Das Mädchen und der Marder",
        status="UNRETURNED",
        item_id=items[2],
        days_ago=4,
        **more,
    )


def _staff(desk: Desk, *, client_id: str, client_secret: str, rights: Iterable[str]) -> None:
    staff: dict[str, Any] = {"category_id": "MITARB", "library_id": "ZENTRALE"}
    desk.add_patron(
        "M0001", "leitung", surname="Leitung", userid="leitung", rights=["superlibrarian"], **staff
    )
    api = desk.add_patron(
        "M0002", client_secret, surname="Online-Kasse", userid="onlinekasse", rights=rights, **staff
    )
    desk.add_client(client_id, client_secret, api)


def _patron(
    desk: Desk,
    card: str,
    pin: str,
    first: str,
    last: str,
    *,
    valid_days: int,
    category_id: str = "ERW",
    **more: Any,  # noqa: ANN401 - columns of a patron
) -> int:
    expiry = desk.renderer.day(desk.world.now() + timedelta(days=valid_days))
    return desk.add_patron(
        card,
        pin,
        charge=False,
        firstname=first,
        surname=last,
        category_id=category_id,
        library_id="ZENTRALE",
        expiry_date=expiry,
        **more,
    )


def _book(desk: Desk, number: int, entry: tuple[str, ...]) -> int:
    isbn, author, title, subtitle, responsible, place, publisher, year, pages = entry
    rest = [("b", subtitle)] if subtitle else []
    biblio_id = desk.add_biblio(
        [
            ("020", "  ", [("a", isbn)]),
            ("041", "0 ", [("a", "ger")]),
            ("100", "1 ", [("a", author)]),
            ("245", "10", [("a", title), *rest, ("c", responsible)]),
            ("264", " 1", [("a", place), ("b", publisher), ("c", year)]),
            ("300", "  ", [("a", pages)]),
            ("942", "  ", [("c", "BK")]),
        ]
    )
    shelf = f"R {number:02} {author[:3]}"
    return desk.add_item(biblio_id, f"L{number:05}", library_id="ZENTRALE", callnumber=shelf, price=2200)
