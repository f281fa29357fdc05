"""The patrons, fees and records that were in the real Koha when its traffic was recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ils_payment_koha.simulator import KohaSimulator

from tests.koha.koha_in_process import SteppedWorld

RIGHTS = {
    "super": ("superlibrarian",),
    "kassenapi": ("borrowers:edit_borrowers", "updatecharges:remaining_permissions"),
    "nurlesen": (),
}
CLIENT = "5e3227d1-0406-420e-aac4-dc6178785cdb"
SECRET = "made up"
PASSWORD = "right"


def recorded_koha() -> KohaSimulator:
    """The data on which everything was recorded: three staff accounts, seven patrons, sixty for races."""
    koha = KohaSimulator(SteppedWorld(datetime(2026, 11, 21, 17, 30, tzinfo=UTC)))
    address = {"address1": "Am Markt 1", "city": "Musterstadt", "country": "DE", "postal_code": "12345"}
    koha.add_library("HBZ", "Stadtbibliothek Hauptstelle", **address)
    koha.add_library("NORD", "Zweigstelle Nord")
    for category, fee in (("PERS", 0), ("ERW", 2000), ("ERM", 1000), ("KIND", 0)):
        koha.add_category(category, fee)
    add_people(koha)
    koha.add_client(CLIENT, SECRET, 2)
    add_book(koha)
    add_fees(koha)
    return koha


def add_people(koha: KohaSimulator) -> None:
    common: dict[str, Any] = {"library_id": "HBZ", "date_enrolled": "2025-06-01", "charge": False}
    staff = common | {"category_id": "PERS", "expiry_date": "2035-01-01"}
    for number, (userid, first, last) in enumerate(
        [("super", "User", "Super"), ("kassenapi", "API", "Kasse"), ("nurlesen", "API", "Nurlesen")], start=1
    ):
        rights = RIGHTS[userid]
        koha.add_patron(
            f"S000{number}", PASSWORD, rights=rights, userid=userid, firstname=first, surname=last, **staff
        )
    anna = {
        "address": "Gasse 1",
        "city": "Musterstadt",
        "date_of_birth": "1980-02-29",
        "email": "anna@example.org",
        "phone": "0123",
        "postal_code": "12345",
    }
    people: list[tuple[str, str, str, dict[str, Any]]] = [
        ("anna", "Ahrens", "ERW", anna),
        ("bernd", "Brandt", "ERW", {"expiry_date": "2026-08-21", "city": "Musterstadt"}),
        ("clara", "Çelik", "ERM", {"restricted": True}),
        ("dora", "Dorn", "KIND", {"date_of_birth": "2015-05-05"}),
        ("emil", "O'Neill", "ERW", {"incorrect_address": True, "patron_card_lost": True}),
        ("fritz", "Fehling", "ERM", {"restricted": True}),
        ("gerda", "Groß", "ERW", {"expiry_date": "2026-08-21"}),
    ]
    for number, (userid, last, category, more) in enumerate(people, start=1):
        fields = common | {"category_id": category, "expiry_date": "2027-04-21"} | more
        koha.add_patron(
            f"10000000{number}", PASSWORD, userid=userid, firstname=userid.title(), surname=last, **fields
        )
    racers = common | {"category_id": "ERW", "expiry_date": "2027-04-21", "firstname": "X"}
    for number in range(1, 61):
        userid, last = f"rx{number:03}", f"Race{number:03}"
        koha.add_patron(f"200000{number:03}", PASSWORD, userid=userid, surname=last, **racers)


def add_book(koha: KohaSimulator) -> None:
    biblio = koha.add_biblio(
        [
            ("020", "  ", [("a", "9783446273917")]),
            ("041", "0 ", [("a", "ger")]),
            ("100", "1 ", [("a", "Mustermann, Jörg")]),
            ("245", "10", [("a", "Die Bücher der Straße :"), ("b", "Roman /"), ("c", "Jörg Mustermann")]),
            ("264", " 1", [("a", "München"), ("b", "Beispiel"), ("c", "2023")]),
            ("300", "  ", [("a", "312 Seiten")]),
            ("650", " 7", [("a", "Straßenbau"), ("2", "gnd")]),
            ("942", "  ", [("c", "BK")]),
        ]
    )
    for barcode, library in (("B0001", "HBZ"), ("B0002", "NORD")):
        koha.add_item(biblio, barcode, library_id=library, callnumber="R 11 Mus", price=2400)


def add_fees(koha: KohaSimulator) -> None:
    def own(patron_id: int, cents: int, kind: str = "ACCOUNT") -> None:
        koha.add_fee(patron_id, cents, kind, interface="opac", user_id=None)

    def staff(patron_id: int, cents: int, kind: str, text: str, **more: Any) -> None:
        koha.add_fee(patron_id, cents, kind, text, library_id="HBZ", **more)

    own(4, 2000)
    staff(4, 150, "OVERDUE", "Säumnisgebühr Die Bücher der Straße", status="UNRETURNED", item_id=1)
    staff(4, 100, "RESERVE", "Vormerkgebühr")
    staff(4, 250, "NEW_CARD", "Ersatzausweis")
    own(5, 2000)
    staff(5, 2000, "ACCOUNT_RENEW", "Jahresgebühr")
    own(6, 1000)
    staff(6, 775, "OVERDUE", "Mahngebühr", status="UNRETURNED")
    staff(6, 2400, "LOST", "Medienersatz", item_id=2)
    own(8, 2000)
    for cents in (10, 20, 30):
        staff(8, cents, "MANUAL", "Kopie")
    staff(8, 1999, "MANUAL", "Diverses")
    own(9, 1000)
    staff(9, 300, "OVERDUE", "Mahngebühr", status="UNRETURNED")
    own(10, 2000)
    own(10, 2000)
    own(10, 2000, "ACCOUNT_RENEW")
    for patron_id in range(11, 71):
        own(patron_id, 2000)
        staff(patron_id, 500, "OVERDUE", "Race", status="UNRETURNED")
        if patron_id > 40:
            staff(patron_id, 200, "MANUAL", "Race")
