"""A small municipal library, made up: who has a card there, and what is owed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ils_payment.testing.books import Books

CARD, PIN = "21234000012345", "4711"


def fill(books: Books, today: date) -> None:
    """Fill the books: Erika owes 12.50, Jan 1.50, Selma is blocked, Ole's card is over, Mia owes nothing."""
    people = (
        (CARD, PIN, "Erika Müller", 200, ""),
        ("21234000012352", "0815", "Jan Tietze", 300, ""),
        ("21234000012369", "1234", "Selma Aydin", 90, "Y" + " " * 13),
        ("21234000012376", "2345", "Ole Brinkmann", -40, ""),
        ("21234000012390", "4567", "Mia Müller", 150, ""),
    )
    for card, pin, name, days, flags in people:
        more = {"flags": flags} if flags else {}
        books.add_patron(card, pin, name, today + timedelta(days=days), **more)
    for cents, kind, text, days in (
        (450, "SAEUM", "Säumnisgebühr", 12),
        (150, "VORM", "Vormerkung", 9),
        (250, "ERSATZ", "Ersatzausweis", 7),
        (400, "FL", "Fernleihe (2 Bestellungen)", 5),
    ):
        books.add_fee(CARD, cents, text, since=today - timedelta(days=days), kind=kind)
    books.add_fee("21234000012352", 150, "Vormerkung", since=today - timedelta(days=3), kind="VORM")
    books.add_fee("21234000012369", 2250, "2. Mahnung", since=today - timedelta(days=20), kind="SAEUM")
    books.add_fee("21234000012376", 1500, "Jahresgebühr", since=today - timedelta(days=40), kind="JAHR")
