"""The simulated Koha's habits, each on its own; the recordings are replayed in test_koha_recordings.py."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from ils_payment_koha.simulator import RECORDED_LATENCY, KohaHabits, KohaSimulator

from ils_payment.model import RawRequest, Reply
from ils_payment.testing.simulator import TRUTH_PATH, RealWorld, Simulator, serve

CARD, PIN = "21234000012345", "4711"
UNHANDLED = {
    "error": "Something went wrong, check Koha logs for details.",
    "error_code": "internal_server_error",
}


class SteppedWorld:
    """Time passes only in pauses and when a test says so; every pause is noted."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
        self.pauses: list[tuple[str, float]] = []

    def now(self) -> datetime:
        return self.moment

    def pause(self, name: str, seconds: float) -> None:
        self.pauses.append((name, seconds))
        self.moment += timedelta(seconds=seconds)


class MeetingWorld(RealWorld):
    """Two credits wait for each other between reading and writing, so that they surely overlap."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=20)

    def pause(self, name: str, seconds: float) -> None:
        super().pause(name, seconds)
        if name == "credit.between_read_and_write":
            self.barrier.wait()


class Client:
    """A signed-in API client in process."""

    def __init__(self, koha: KohaSimulator) -> None:
        self.koha = koha
        self.form = "grant_type=client_credentials&client_id=ils-payment&client_secret=demo-secret"
        self.headers: dict[str, str] = {"accept": "application/json"}
        self.sign_in()

    def sign_in(self) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        reply = self.call("POST", "/oauth/token", self.form.encode(), **kind)
        self.headers["authorization"] = f"Bearer {json.loads(reply.body)['access_token']}"

    def call(self, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        where, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = RawRequest(method=method, path=f"/api/v1{where}", query=query, headers=known, body=raw)
        return self.koha.handle(request)

    def get(self, path: str, **headers: str) -> Any:
        reply = self.call("GET", path, **headers)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def pay(self, patron: int, amount: float, *lines: int, **more: object) -> Reply:
        body = {"amount": amount, "account_lines_ids": list(lines), **more}
        return self.call("POST", f"/patrons/{patron}/account/credits", body)

    def status(self, method: str, path: str, body: object = b"", **headers: str) -> int:
        return self.call(method, path, body, **headers).status


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


def books(koha: KohaSimulator, patron: int) -> dict[str, Any]:
    return koha.truth()["patrons"][str(patron)]


def parsed(reply: Reply) -> Any:
    return json.loads(reply.body, parse_float=Decimal)


# --- the demo library ------------------------------------------------------------------------


def test_demo_patron_owes_12_50_besides_what_is_not_payable(koha, client, erika):
    found = client.get(f"/patrons?cardnumber={CARD}&_match=exact")
    assert [patron["patron_id"] for patron in found] == [erika]
    lines = client.get(f"/patrons/{erika}/account")["outstanding_debits"]["lines"]
    growing = [line for line in lines if line["status"] == "UNRETURNED"]
    old = [line for line in lines if line["date"] < "2022"]
    others = [line for line in lines if line not in growing + old]
    assert (len(growing), len(old)) == (1, 1)
    assert sum(Decimal(str(line["amount_outstanding"])) for line in others) == Decimal("12.50")
    assert len({line["debit_type"] for line in others}) == 4


def test_demo_fees_lead_to_titles(client, erika):
    lines = client.get(f"/patrons/{erika}/account")["outstanding_debits"]["lines"]
    titles = []
    for item_id in [line["item_id"] for line in lines if line["item_id"]]:
        biblio_id = client.get(f"/items/{item_id}")["biblio_id"]
        record = client.get(f"/biblios/{biblio_id}", accept="application/marc-in-json")
        (title,) = [field["245"] for field in record["fields"] if "245" in field]
        titles.append(title["subfields"][0]["a"])
    assert titles == ["Der Sommer am Wehr :", "Brot backen ohne Hast :", "Das Mädchen und der Marder /"]


def test_demo_has_a_blocked_an_expired_and_a_credited_patron(koha, client):
    blocked = client.get(f"/patrons/{koha.patron_ids['blocked']}")
    expired = client.get(f"/patrons/{koha.patron_ids['expired']}")
    credited = client.get(f"/patrons/{koha.patron_ids['credit']}/account")
    assert blocked["restricted"] is True
    assert expired["expiry_date"] < "2026-11-21"
    assert (credited["balance"], credited["outstanding_credits"]["total"]) == (5.0, -3.0)


def test_simulator_fits_the_protocol_and_serves_its_truth(koha):
    simulator: Simulator = koha
    with serve(simulator) as address:
        truth = requests.get(f"{address}{TRUTH_PATH}", timeout=10).json()
        specification = requests.get(f"{address}/api/v1/", timeout=10).json()
    assert truth == koha.truth() | {"requests": truth["requests"]}
    assert specification["info"]["version"] == "1"
    assert "post" in specification["paths"]["/patrons/{patron_id}/account/credits"]


# --- credits ---------------------------------------------------------------------------------


def test_same_credit_twice_is_booked_twice_and_the_surplus_flows_to_the_oldest_fee(koha, client, erika):
    for _ in range(2):
        assert client.pay(erika, 4.5, 2, note="ILSP-A").status == 201
    account = books(koha, erika)
    assert [credit["applied"] for credit in account["credits"].values()] == [{"2": 450}, {"1": 450, "2": 0}]
    assert account["fees"]["1"]["outstanding"] == 3050
    found = client.get(f'/patrons/{erika}/account/credits?q={{"internal_note":"ILSP-A"}}')
    assert len(found) == 2


def test_what_no_fee_takes_stays_as_open_credit(koha, client, erika):
    body = parsed(client.pay(erika, 100, 2))
    assert body["amount_outstanding"] == Decimal("-50.30")
    assert books(koha, erika)["balance"] == -5030
    assert client.get(f"/patrons/{erika}/account")["outstanding_debits"] == {"lines": [], "total": 0}


def test_another_patrons_fee_is_paid(koha, client, erika):
    jan = koha.patron_ids["jan"]
    (line_id,) = books(koha, jan)["fees"]
    assert client.pay(erika, 1.5, int(line_id)).status == 201
    assert books(koha, jan)["fees"][line_id]["outstanding"] == 0
    assert books(koha, erika)["balance"] == 4970


@pytest.mark.parametrize("ids", [[], [999999], [-2]])
def test_ids_that_lead_nowhere_pay_the_oldest_fee(koha, client, erika, ids):
    assert client.pay(erika, 1, *ids).status == 201
    assert books(koha, erika)["fees"]["1"]["outstanding"] == 3400


def test_fractions_of_a_cent_are_taken(koha, client, erika):
    assert client.pay(erika, 1.005, 2).status == 201
    assert books(koha, erika)["fees"]["2"]["outstanding"] == "349.5"


def test_unknown_credit_type_makes_a_new_one_and_unknown_debit_type_is_refused(koha, client, erika):
    assert client.pay(erika, 1, 2, credit_type="Zahlung").status == 201
    assert "Zahlung" in koha.truth()["credit_types"]
    debit = {"amount": 1, "type": "Gebuehr"}
    reply = client.call("POST", f"/patrons/{erika}/account/debits", debit)
    assert (reply.status, parsed(reply)) == (400, {"error": "Account type was not recognised"})


def test_two_simultaneous_credits_pay_one_fee_twice():
    koha = KohaSimulator.demo(MeetingWorld(), habits=KohaHabits(deadlock_rate=0.0))
    replies = pay_at_once(koha, koha.patron_ids["erika"], 4.5, 2)
    account = books(koha, koha.patron_ids["erika"])
    assert [reply.status_code for reply in replies] == [201, 201]
    assert [reply.json()["amount_outstanding"] for reply in replies] == [0.0, 0.0]
    assert [credit["applied"] for credit in account["credits"].values()] == [{"2": 450}, {"2": 450}]
    booked = sum(fee["amount"] for fee in account["fees"].values()) - 900
    assert account["balance"] == booked + 450


def test_deadlock_answers_500_and_leaves_a_credit_that_nothing_applies():
    koha = KohaSimulator.demo(MeetingWorld(), habits=KohaHabits(deadlock_rate=1.0))
    erika = koha.patron_ids["erika"]
    replies = pay_at_once(koha, erika, 4.5, 2)
    assert sorted(reply.status_code for reply in replies) == [201, 500]
    assert next(reply.json() for reply in replies if reply.status_code == 500) == UNHANDLED
    unapplied = sorted(credit["unapplied"] for credit in books(koha, erika)["credits"].values())
    assert unapplied == [0, 450]


def pay_at_once(koha: KohaSimulator, patron: int, amount: float, line: int) -> list[requests.Response]:
    with serve(koha) as address:
        client = Client(koha)
        url = f"{address}/api/v1/patrons/{patron}/account/credits"
        body = {"amount": amount, "account_lines_ids": [line]}

        def post(marker: str) -> requests.Response:
            return requests.post(url, json=body | {"note": marker}, headers=client.headers, timeout=30)

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(post, ["ILSP-1", "ILSP-2"]))


def test_deadlock_can_be_ordered_and_the_stuck_credit_stays(koha, client, erika):
    koha.deadlock_next()
    assert parsed(client.pay(erika, 4.5, 2, note="ILSP-A")) == UNHANDLED
    assert client.pay(erika, 4.5, 2, note="ILSP-B").status == 201
    first, second = books(koha, erika)["credits"].values()
    assert (first["marker"], first["unapplied"], first["applied"]) == ("ILSP-A", 450, {})
    assert (second["marker"], second["unapplied"]) == ("ILSP-B", 0)


def test_credit_id_among_the_ids_is_a_500_that_was_booked(koha, client, erika):
    (credit_id,) = books(koha, koha.patron_ids["credit"])["credits"]
    assert client.pay(erika, 4.5, 2, int(credit_id)).status == 500
    assert [credit["unapplied"] for credit in books(koha, erika)["credits"].values()] == [450]
    assert books(koha, erika)["fees"]["2"]["outstanding"] == 450


@pytest.mark.parametrize(
    ("preferences", "body"),
    [
        ({}, {"amount": 0}),
        ({}, {"amount": 1, "library_id": "NIX"}),
        ({"require_payment_type": True}, {"amount": 1}),
        ({"use_cash_registers": True}, {"amount": 1, "payment_type": "CASH"}),
    ],
)
def test_500_that_was_not_booked_looks_the_same(koha, client, erika, preferences, body):
    for name, value in preferences.items():
        setattr(koha.habits, name, value)
    reply = client.call("POST", f"/patrons/{erika}/account/credits", body)
    assert (reply.status, parsed(reply)) == (500, UNHANDLED)
    assert books(koha, erika)["credits"] == {}


# --- reading ---------------------------------------------------------------------------------


def test_card_number_is_searched_as_a_part_and_an_empty_one_finds_all(client):
    assert len(client.get("/patrons?cardnumber=212340000123")) == 6
    assert client.get("/patrons?cardnumber=212340000123&_match=exact") == []
    assert len(client.get("/patrons?cardnumber=")) == 8
    assert len(client.get(f'/patrons?q={{"cardnumber":"{CARD}"}}')) == 1


def test_pages_are_linked_by_several_header_lines(client):
    reply = client.call("GET", "/patrons?_per_page=3&_page=2")
    relations = [value.rsplit("; ", 1)[1] for name, value in reply.headers if name == "Link"]
    counts = {name: value for name, value in reply.headers if name.startswith("X-")}
    assert relations == ['rel="prev"', 'rel="next"', 'rel="first"', 'rel="last"']
    assert counts == {"X-Base-Total-Count": "8", "X-Total-Count": "8"}
    assert len(client.get("/patrons?_per_page=-1")) == 8


def test_amounts_are_floats_an_empty_total_is_an_integer_and_noise_can_be_switched_on(koha, client, erika):
    text = client.call("GET", f"/patrons/{erika}/account").body.decode()
    assert '"amount":35.0,' in text
    assert '"outstanding_credits":{"lines":[],"total":0}' in text
    koha.add_fee(erika, 30)
    koha.habits.float_noise = True
    assert '"amount":0.30000000000000004,' in client.call("GET", f"/patrons/{erika}/account").body.decode()


def test_there_are_five_error_shapes(koha, client, erika):
    assert parsed(client.call("GET", "/patrons/99999")) == {"error": "Patron not found."}
    assert parsed(client.pay(erika, 0)) == UNHANDLED
    koha.set_rights(2, ())
    refused = parsed(client.call("GET", f"/patrons/{erika}"))
    assert set(refused) == {"error", "required_permissions"}
    koha.set_rights(2, ("superlibrarian",))
    missing = {"errors": [{"message": "Not Found.", "path": "/"}], "status": 404}
    assert parsed(client.call("GET", "/patronz")) == missing
    assert parsed(client.call("PATCH", f"/patrons/{erika}", {"phone": "1"})) == missing
    bare = [{"message": "Malformed query string", "path": "/query/no_such"}]
    assert parsed(client.call("GET", "/patrons?no_such=1")) == bare


def test_record_with_a_choice_of_forms_refuses_any_form(client):
    assert client.status("GET", "/biblios/1", accept="*/*") == 406
    assert client.status("GET", "/biblios/1", accept="text/html") == 400
    assert client.status("GET", "/patrons", accept="*/*") == 200


def test_times_carry_berlins_offset(koha, client, erika):
    reply = parsed(client.pay(erika, 1, 2, date="2026-07-01"))
    assert reply["date"] == "2026-07-01T00:00:00+02:00"
    assert reply["timestamp"] == "2026-11-21T22:00:00+01:00"


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
