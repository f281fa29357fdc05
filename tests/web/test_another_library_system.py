"""The library system is another one now: an id of the former one names somebody else there.

Nothing goes on any more, so the program starts; sessions, pay links and payments of before are still there.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ils_payment.flows.house import refuse_strangers
from ils_payment.store import patrons
from tests.web.card_town import CardTown
from tests.web.test_pages import PLACE
from tests.web.test_paylinks import Stranger

FORMER = "https://the-former-koha.example/api/v1"


@pytest.fixture
def place(tmp_path):
    built = CardTown(f"sqlite:///{tmp_path}/ledger.db", **PLACE)
    yield built
    built.close()


def is_named(town, name):
    """Call the library system *name*; None: by its own name. The program would start so."""
    desk = replace(town.desk, settings=town.desk.settings.model_copy(update={"patrons_known_as": name}))
    town.desk = desk
    town.house.libraries = {**town.house.libraries, "lindental": desk}
    with town.house.store.read() as unit:
        refuse_strangers(desk, patrons.known_as(unit, "lindental"))


def test_a_pay_link_of_before_shows_no_card_and_starts_no_payment(place):
    is_named(place, FORMER)
    link = Stranger(place)
    form = re.search(r'name="csrf" value="([^"]+)"', link.sees())
    assert form
    is_named(place, None)
    page = link.sees(410)
    assert "••••" not in page
    said = {"csrf": form[1], "expected": 1000, "until": place.next_year.isoformat(), "method": "card"}
    assert link.browser.post(link.path, data=said).status_code == 410


def test_a_session_of_before_is_over(doors):
    is_named(doors.town, FORMER)
    browser = doors.arrived("erika")
    assert browser.get("/lindental/fees").status_code == 200
    is_named(doors.town, None)
    assert browser.get("/lindental/fees").status_code == 303


def test_whoever_has_the_same_number_now_sees_no_payment_of_before(doors):
    is_named(doors.town, FORMER)
    payment = doors.town.started(only=1)
    doors.town.stripe.pay(doors.town.session_of(payment))
    doors.town.deliver_webhooks()
    doors.town.run()
    assert doors.arrived("erika").get(f"/lindental/payments/{payment}").status_code == 200
    is_named(doors.town, None)
    other = doors.arrived("erika")
    for page in ("", "/receipt"):
        assert other.get(f"/lindental/payments/{payment}{page}").status_code == 404
    assert payment not in other.get("/lindental/payments").text
