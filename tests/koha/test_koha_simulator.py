"""What the simulated Koha books and shows; the recordings are replayed in test_koha_recordings.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from ils_payment_koha.simulator import KohaHabits, KohaSimulator

from ils_payment.testing.simulator import TRUTH_PATH, RealWorld, Simulator, serve
from tests.koha.koha_in_process import CARD, UNHANDLED, Client, SteppedWorld, books, parsed


class MeetingWorld(RealWorld):
    """Two credits wait for each other between reading and writing, so that they surely overlap."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=20)

    def pause(self, name: str, seconds: float) -> None:
        super().pause(name, seconds)
        if name == "credit.between_read_and_write":
            self.barrier.wait()


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
