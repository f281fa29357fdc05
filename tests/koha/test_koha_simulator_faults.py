"""Whom the simulated Koha lets in, what goes wrong in it on demand, and what clerks do there."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from ils_payment_koha.simulator import RECORDED_LATENCY, KohaHabits, KohaSimulator

from ils_payment.model import Reply
from ils_payment.testing.simulator import serve
from tests.koha.koha_in_process import CARD, PIN, Client, SteppedWorld, books, parsed


@pytest.fixture
def world():
    return SteppedWorld()


@pytest.fixture
def koha(world):
    return KohaSimulator.demo(world)


@pytest.fixture
def erika(koha):
    return koha.patron_ids["erika"]


@pytest.fixture
def client(koha):
    return Client(koha)


# --- who may what ----------------------------------------------------------------------------


def test_token_expires_by_the_worlds_clock(world, client, erika):
    world.moment += timedelta(seconds=3599)
    assert client.status("GET", f"/patrons/{erika}") == 200
    world.moment += timedelta(seconds=1)
    assert parsed(client.call("GET", f"/patrons/{erika}")) == {"error": "Authentication failure."}
    client.sign_in()
    assert client.status("GET", f"/patrons/{erika}") == 200


@pytest.mark.parametrize(
    ("right", "method", "path", "body"),
    [
        ("borrowers:edit_borrowers", "GET", "/patrons/3", b""),
        ("borrowers", "PUT", "/patrons/3", {}),
        ("borrowers", "POST", "/auth/password/validation", {}),
        ("updatecharges:remaining_permissions", "POST", "/patrons/3/account/credits", {}),
        ("catalogue", "GET", "/items/1", b""),
    ],
)
def test_each_call_needs_its_right(koha, client, right, method, path, body):
    koha.set_rights(2, ())
    assert client.status(method, path, body) == 403
    koha.set_rights(2, (right,))
    assert client.status(method, path, body) in {200, 400}


def test_whole_borrowers_right_cannot_be_made_of_its_parts(koha, client):
    koha.set_rights(2, ("borrowers:edit_borrowers", "borrowers:delete_borrowers"))
    assert client.status("POST", "/auth/password/validation", {}) == 403


def test_basic_with_a_wrong_password_is_403_and_switched_off_is_401(koha, client, erika):
    def basic(password: str) -> Reply:
        code = base64.b64encode(f"onlinekasse:{password}".encode()).decode()
        return client.call("GET", f"/patrons/{erika}", authorization=f"Basic {code}")

    assert basic("demo-secret").status == 200
    assert (basic("no").status, parsed(basic("no"))["error"]) == (403, "Invalid password")
    koha.habits.basic_auth = False
    assert (basic("demo-secret").status, parsed(basic("demo-secret"))["error"]) == (
        401,
        "Basic authentication disabled",
    )


def test_card_and_pin_are_validated_and_five_wrong_pins_lock(koha, client, erika):
    def validate(pin: str) -> int:
        return client.status("POST", "/auth/password/validation", {"identifier": CARD, "password": pin})

    assert validate(PIN) == 201
    assert [validate("0000") for _ in range(5)] == [400] * 5
    assert validate(PIN) == 400
    koha.set_password(erika, PIN, expired=True)
    assert validate(PIN) == 500


def test_put_keeps_what_was_not_sent_and_refuses_what_may_only_be_read(koha, client, erika):
    smallest = {"surname": "Mustermann", "library_id": "ZENTRALE", "category_id": "ERW"}
    changed = parsed(client.call("PUT", f"/patrons/{erika}", smallest | {"expiry_date": "2027-11-21"}))
    fields = [changed[name] for name in ("expiry_date", "firstname", "cardnumber")]
    assert fields == ["2027-11-21", "Erika", CARD]
    assert client.status("PUT", f"/patrons/{erika}", {"expiry_date": "2027-11-21"}) == 400
    assert client.status("PUT", f"/patrons/{erika}", smallest | {"restricted": False}) == 400


def test_payment_does_not_lift_a_restriction(koha, client):
    blocked = koha.patron_ids["blocked"]
    assert client.pay(blocked, 22.5, *map(int, books(koha, blocked)["fees"])).status == 201
    assert books(koha, blocked)["balance"] == 0
    assert client.get(f"/patrons/{blocked}")["restricted"] is True


def test_new_patron_in_a_category_with_a_fee_owes_it_by_a_line_without_a_text(koha, client):
    patron = koha.add_patron("1", "x", surname="Neu", category_id="ERW", library_id="ZENTRALE")
    (line,) = client.get(f"/patrons/{patron}/account")["outstanding_debits"]["lines"]
    assert (line["debit_type"], line["description"], line["library_id"]) == ("ACCOUNT", "", None)


# --- faults ----------------------------------------------------------------------------------


def test_lost_answer_closes_the_connection_after_the_credit_was_booked(koha, client, erika):
    koha.lose_answer()
    with serve(koha) as address:
        url = f"{address}/api/v1/patrons/{erika}/account/credits"
        body = {"amount": 4.5, "account_lines_ids": [2], "note": "ILSP-L"}
        with pytest.raises(requests.ConnectionError):
            requests.post(url, json=body, headers=client.headers, timeout=10)
        assert [credit["marker"] for credit in books(koha, erika)["credits"].values()] == ["ILSP-L"]
        assert requests.get(url, headers=client.headers, timeout=10).status_code == 200


@pytest.mark.parametrize(("after_effect", "booked"), [(False, 0), (True, 1)])
def test_failure_comes_before_or_after_the_effect(koha, client, erika, after_effect, booked):
    koha.fail_next(status=502, operation="credits.add", after_effect=after_effect)
    client.get(f"/patrons/{erika}/account")
    assert client.pay(erika, 4.5, 2).status == 502
    assert len(books(koha, erika)["credits"]) == booked
    assert client.pay(erika, 1.5, 3).status == 201


def test_late_credit_appears_when_its_time_has_come(world, koha, client, erika):
    koha.apply_late(600)
    assert client.pay(erika, 4.5, 2, note="ILSP-S").status == 504
    world.moment += timedelta(seconds=599)
    assert client.get(f"/patrons/{erika}/account/credits") == []
    world.moment += timedelta(seconds=1)
    (credit,) = client.get(f"/patrons/{erika}/account/credits")
    assert (credit["internal_note"], credit["amount_outstanding"]) == ("ILSP-S", 0.0)
    assert len(books(koha, erika)["credits"]) == 1


def test_late_credit_of_somebody_without_the_right_never_appears(world, koha, client, erika):
    koha.set_rights(2, ("borrowers:edit_borrowers",))
    koha.apply_late(1)
    assert client.pay(erika, 4.5, 2).status == 504
    world.moment += timedelta(seconds=2)
    assert books(koha, erika)["credits"] == {}


def test_stopped_database_looks_like_a_setting_to_basic_and_like_a_fault_to_a_token(koha, client, erika):
    koha.database_down()
    by_token = client.call("GET", f"/patrons/{erika}")
    by_basic = client.call("GET", f"/patrons/{erika}", authorization="Basic b25saW5la2Fzc2U6eA==")
    assert (by_token.status, parsed(by_token)) == (500, {"error": "Something went wrong, check the logs."})
    assert (by_basic.status, parsed(by_basic)) == (401, {"error": "Basic authentication disabled"})
    assert client.pay(erika, 4.5, 2).status == 500
    koha.database_down(down=False)
    assert client.status("GET", f"/patrons/{erika}") == 200
    assert books(koha, erika)["credits"] == {}


def test_latency_and_delays_are_pauses_of_the_world_and_are_summed_up(world, erika):
    koha = KohaSimulator.demo(world, habits=KohaHabits(realistic_latency=True))
    client = Client(koha)
    koha.delay_next(2.0)
    client.get(f"/patrons/{erika}/account")
    expected = [("latency.token", 0.057), ("latency.account.get", 2.0 + RECORDED_LATENCY["account.get"])]
    assert world.pauses == expected
    truth = koha.truth()
    assert truth["paused_seconds"] == pytest.approx(sum(seconds for _, seconds in expected))
    assert truth["requests"] == {"token": 1, "account.get": 1}


def test_credit_pauses_in_both_of_its_gaps_without_holding_the_lock(world, koha, client, erika):
    koha.habits.apply_window = 0.5
    seen = []
    pause = world.pause

    def meanwhile(name: str, seconds: float) -> None:
        pause(name, seconds)
        if name.startswith("credit."):
            with ThreadPoolExecutor(1) as other:
                account = other.submit(books, koha, erika).result(timeout=10)
                seen.append((name, account["balance"], account["fees"]["2"]["outstanding"]))

    world.pause = meanwhile
    assert client.pay(erika, 4.5, 2).status == 201
    # The credit counts in the balance at once, and the fee is still open.
    assert seen == [
        ("credit.between_store_and_apply", 4520, 450),
        ("credit.between_read_and_write", 4520, 450),
    ]


# --- the desk --------------------------------------------------------------------------------


def test_desk_pays_waives_and_lets_fees_grow(koha, erika):
    koha.pay_at_desk(erika, 2, 450)
    koha.waive(erika, 3, 150)
    koha.grow_fee(6, 55)
    account = books(koha, erika)
    assert [account["fees"][line]["outstanding"] for line in ("2", "3", "6")] == [0, 0, 275]
    assert [credit["type"] for credit in account["credits"].values()] == ["PAYMENT", "WRITEOFF"]
    assert account["balance"] == 4970 - 450 - 150 + 55


def test_discarded_copy_leaves_a_fee_whose_item_is_gone(koha, client, erika):
    koha.delete_item(1)
    assert client.status("GET", "/items/1") == 404
    lines = client.get(f"/patrons/{erika}/account")["outstanding_debits"]["lines"]
    assert 1 in [line["item_id"] for line in lines]


def test_same_seed_gives_the_same_tokens():
    first, second, third = (Client(KohaSimulator.demo(SteppedWorld(), seed=seed)) for seed in (1, 1, 2))
    assert first.headers == second.headers != third.headers


def test_habits_are_each_simulators_own():
    assert replace(KohaHabits(), deadlock_rate=1.0).latency is RECORDED_LATENCY
    assert KohaSimulator().habits is not KohaSimulator().habits
