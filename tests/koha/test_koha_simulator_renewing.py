"""How expiries change in the simulated Koha: by the API, at the desk, and what its books say of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from ils_payment_koha.simulator import KohaSimulator
from ils_payment_koha.simulator.koha import RENEWAL
from ils_payment_koha.simulator.state import Category

from tests.koha.koha_in_process import Client, SteppedWorld, books, parsed

SMALLEST = {"surname": "Brinkmann", "library_id": "ZENTRALE", "category_id": "ERW"}


@pytest.fixture
def world():
    return SteppedWorld()


@pytest.fixture
def koha(world):
    return KohaSimulator.demo(world)


@pytest.fixture
def client(koha):
    return Client(koha)


@pytest.fixture
def expired(koha):
    """A patron whose card ended on 2026-10-12, 40 days ago, and who owes the fee of a year."""
    return koha.patron_ids["expired"]


def put(client, patron, **fields):
    return client.call("PUT", f"/patrons/{patron}", SMALLEST | fields)


def test_a_new_expiry_by_the_api_changes_nothing_else_and_is_in_the_books(world, koha, client, expired):
    account = books(koha, expired)
    changed = parsed(put(client, expired, expiry_date="2027-10-12"))
    assert (changed["expiry_date"], changed["date_renewed"]) == ("2027-10-12", None)
    after = books(koha, expired)
    assert (after["fees"], after["balance"]) == (account["fees"], account["balance"])
    assert after["expiry_changes"] == [
        {"at": world.moment.isoformat(), "by": "api", "from": "2026-10-12", "to": "2027-10-12"}
    ]


def test_the_same_expiry_again_is_no_change(koha, client, expired):
    assert put(client, expired, expiry_date="2026-10-12").status == 200
    assert books(koha, expired)["expiry_changes"] == []


@pytest.mark.parametrize(
    ("base", "until"),
    [("now", "2027-11-21"), ("dateexpiry", "2027-10-12"), ("combination", "2027-11-21")],
)
def test_the_desk_renews_by_the_preference_and_charges_the_fee(koha, expired, base, until):
    koha.habits.borrower_renewal_period_base = base
    before = books(koha, expired)
    assert koha.renew_account(expired) == until
    after = books(koha, expired)
    assert (after["expiry_date"], after["date_renewed"]) == (until, "2026-11-21")
    assert [(one["by"], one["to"]) for one in after["expiry_changes"]] == [("desk", until)]
    new = [fee for ref, fee in after["fees"].items() if ref not in before["fees"]]
    assert [(fee["type"], fee["outstanding"]) for fee in new] == [("ACCOUNT_RENEW", 1500)]


def test_a_card_that_still_runs_is_renewed_from_its_end_by_the_combination(koha):
    koha.habits.borrower_renewal_period_base = "combination"
    erika = koha.patron_ids["erika"]
    ends = date.fromisoformat(books(koha, erika)["expiry_date"])
    assert koha.renew_account(erika) == ends.replace(year=ends.year + 1).isoformat()


def test_a_category_without_a_fee_is_renewed_for_nothing(koha):
    child = koha.patron_ids["child"]
    koha.renew_account(child)
    assert books(koha, child)["fees"] == {}


@pytest.mark.parametrize(
    ("base", "months", "until"),
    [
        ("2027-02-28", 12, "2028-02-28"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2026-12-31", 1, "2027-01-31"),
    ],
)
def test_a_month_that_is_too_short_ends_the_card_on_its_last_day(base, months, until):
    category = Category(category_id="X", fee=Decimal(0), months=months)
    assert category.expiry(date.fromisoformat(base)) == date.fromisoformat(until)


def test_a_category_may_end_on_one_day_for_everybody(koha, expired):
    koha.add_category("ERW", 1500, until=date(2027, 12, 31))
    assert koha.renew_account(expired) == "2027-12-31"


def test_a_clerk_who_types_another_expiry_is_in_the_books(koha, expired):
    koha.change(expired, expiry_date="2030-01-01", phone="0999")
    koha.change(expired, phone="0111")
    assert [(one["by"], one["to"]) for one in books(koha, expired)["expiry_changes"]] == [
        ("desk", "2030-01-01")
    ]


def test_a_whole_record_that_is_put_back_undoes_what_a_clerk_changed(koha, client, expired):
    read = client.get(f"/patrons/{expired}")
    koha.change(expired, phone="0999")
    whole = {name: value for name, value in read.items() if name not in {"restricted", "anonymized"}}
    assert client.status("PUT", f"/patrons/{expired}", whole | {"expiry_date": "2027-10-12"}) == 200
    assert client.get(f"/patrons/{expired}")["phone"] is None


@pytest.mark.parametrize(("after_effect", "until"), [(False, "2026-10-12"), (True, "2027-10-12")])
@pytest.mark.parametrize("status", [0, 500, 502])
def test_a_fault_of_a_new_expiry_comes_before_or_after_the_effect(
    koha, client, expired, status, after_effect, until
):
    koha.fail_next(status=status, operation=RENEWAL, after_effect=after_effect)
    assert put(client, expired, expiry_date="2027-10-12").status == status
    assert books(koha, expired)["expiry_date"] == until


def test_a_late_expiry_is_written_over_what_the_desk_did_meanwhile(world, koha, client, expired):
    koha.apply_late(600, operation=RENEWAL)
    assert put(client, expired, expiry_date="2027-10-12").status == 504
    koha.renew_account(expired)
    world.moment += timedelta(seconds=601)
    assert books(koha, expired)["expiry_date"] == "2027-10-12"
    assert [one["by"] for one in books(koha, expired)["expiry_changes"]] == ["desk", "api"]


# --- newer versions, as they were read -----------------------------------------------------------


def test_what_newer_versions_have_is_absent_unless_it_is_asked_for(koha, client, expired):
    assert client.status("GET", "/patron_categories") == 404
    assert client.status("POST", f"/public/patrons/{expired}/self_renewal", {}) == 404


def test_self_renewal_is_for_the_patron_alone_and_charges_before_anything_is_paid(koha, client, expired):
    koha.habits.newer = True
    path = f"/public/patrons/{expired}/self_renewal"
    refused = client.call("POST", path, {})
    assert (refused.status, parsed(refused)) == (403, {"error": "You are not eligible for self-renewal"})
    before = books(koha, expired)["balance"]
    koha.add_client("own", "key", expired)
    client.form = urlencode({"grant_type": "client_credentials", "client_id": "own", "client_secret": "key"})
    client.sign_in()
    assert client.status("GET", path) == 200
    assert parsed(client.call("POST", path, {})) == {"expiry_date": "2027-11-21", "confirmation_sent": True}
    after = books(koha, expired)
    assert after["balance"] == before + 1500
    assert [one["by"] for one in after["expiry_changes"]] == ["self"]
    koha.restrict(expired)
    assert client.status("GET", path) == 403
