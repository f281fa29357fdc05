"""Each method of the Koha adapter against a simulated Koha over real HTTP, and against worse remotes."""

from __future__ import annotations

import json
import logging
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest.mock import Mock

import pytest
import requests
import structlog
from ils_payment_koha import lookups
from ils_payment_koha.adapter import KohaSystem
from ils_payment_koha.config import KohaConfig
from ils_payment_koha.simulator import KohaHabits, KohaSimulator
from pydantic import SecretStr, ValidationError

from ils_payment.errors import (
    RemoteAbsentError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Applied,
    CreditOrder,
    Fee,
    NotApplied,
    OrderLine,
    PatronRef,
    Refused,
    Reply,
    Unavailable,
    Unclear,
)
from ils_payment.plugins import Plugins
from ils_payment.ports import LibrarySystem
from tests.koha.koha_in_process import Client
from tests.transport_errors import tls_because

CARD = "21234000012345"
PIN = "4711"
MARKER = "ILSP-7K3M9Q-4"


def erika(koha):
    return PatronRef(str(koha.patron_ids["erika"]))


def order(fees, marker=MARKER, patron="3", **changes):
    lines = tuple(
        OrderLine(ref=fee.ref, claim_key=fee.claim_key, cents=fee.cents, kind=fee.kind) for fee in fees
    )
    fields = {
        "patron": PatronRef(patron),
        "marker": marker,
        "cents": sum(fee.cents for fee in fees),
        "currency": "EUR",
        "method": "card",
        "lines": lines,
    } | changes
    return CreditOrder(**fields)


def payable(adapter, koha):
    return [fee for fee in adapter.account(erika(koha)).fees if not fee.growing][1:]


def requests_of(koha, *names):
    return [koha.truth()["requests"].get(name, 0) for name in names]


def credits_of(koha, name="erika"):
    return list(koha.truth()["patrons"][str(koha.patron_ids[name])]["credits"].values())


# --- the door ---------------------------------------------------------------------------------


def test_koha_comes_through_the_door_of_every_plugin(adapter):
    assert Plugins(["koha"]).library_system("koha") is KohaSystem
    assert isinstance(adapter, LibrarySystem)


def test_making_one_does_no_io(connect):
    adapter = connect("http://127.0.0.1:1", late_apply_minutes=30, titles=False, sign_in=False)
    can = adapter.capabilities()
    assert can.late_apply_max == timedelta(minutes=30)
    assert (can.titles, can.sign_in) == (False, False)


# --- signing in -------------------------------------------------------------------------------


def test_card_and_pin_sign_in(adapter, koha):
    assert adapter.sign_in(CARD, PIN) == erika(koha)


@pytest.mark.parametrize("name", ["blocked", "expired"])
def test_expired_and_restricted_patrons_sign_in(adapter, koha, name):
    cards = {"blocked": ("21234000012369", "1234"), "expired": ("21234000012376", "2345")}
    assert adapter.sign_in(*cards[name]) == str(koha.patron_ids[name])


@pytest.mark.parametrize(("card", "pin"), [(CARD, "0000"), ("999", PIN), (CARD[:-1], PIN)])
def test_every_wrong_pair_is_refused_alike(adapter, card, pin):
    assert adapter.sign_in(card, pin) == Refused()


def attempts(koha):
    return Client(koha).get(f"/patrons/{erika(koha)}")["login_attempts"]


def test_nobody_can_lock_an_account_in_koha_from_here(adapter, koha):
    """Koha locks after five wrong passwords, however much time lies between, by card or by user name."""
    koha.change(koha.patron_ids["erika"], userid="erika.m")
    for identifier in (CARD, "erika.m", "Erika.M") * 3:
        assert adapter.sign_in(identifier, "0000") == Refused()
    assert attempts(koha) <= 3
    assert requests_of(koha, "password.validation") == [3]
    assert adapter.sign_in(CARD, PIN) == Refused(), "nobody asks any more"
    assert adapter.sign_in("erika.m", PIN) == Refused()


def test_a_right_password_in_the_catalogue_opens_the_way_again(adapter, koha):
    for _ in range(4):
        adapter.sign_in(CARD, "0000")
    body = {"identifier": CARD, "password": PIN}
    assert Client(koha).status("POST", "/auth/password/validation", body) == 201
    assert adapter.sign_in(CARD, PIN) == erika(koha)


def test_where_koha_locks_earlier_it_can_be_asked_less(connect, koha):
    adapter = connect(koha, stop_after_attempts=1)
    assert adapter.sign_in(CARD, "0000") == Refused()
    assert adapter.sign_in(CARD, PIN) == Refused()
    assert attempts(koha) == 1


def test_a_right_password_forgets_the_wrong_ones(adapter, koha):
    for _ in range(3):
        adapter.sign_in(CARD, "0000")
        adapter.sign_in(CARD, "0000")
        assert adapter.sign_in(CARD, PIN) == erika(koha)
        assert attempts(koha) == 0


def test_of_an_unknown_card_no_password_is_asked(adapter, koha):
    assert adapter.sign_in("999", PIN) == Refused()
    assert adapter.sign_in(CARD[:-1], PIN) == Refused()
    assert requests_of(koha, "password.validation") == [0]


@pytest.mark.parametrize("operation", ["patrons.list", "password.validation"])
def test_a_koha_that_fails_in_between_refuses_nobody(adapter, koha, operation):
    koha.fail_next(status=503, operation=operation)
    assert isinstance(adapter.sign_in(CARD, PIN), Unavailable)


@pytest.mark.parametrize(("card", "pin"), [("", PIN), (CARD, "")])
def test_an_empty_pair_is_refused_without_a_call(adapter, koha, card, pin):
    assert adapter.sign_in(card, pin) == Refused()
    assert koha.truth()["requests"] == {}


def test_an_expired_pin_is_no_refusal(adapter, koha):
    koha.set_password(koha.patron_ids["erika"], PIN, expired=True)
    assert isinstance(adapter.sign_in(CARD, PIN), Unavailable)


def test_without_the_right_nobody_is_refused(adapter, koha):
    koha.set_rights(2, ["borrowers:edit_borrowers", "updatecharges:remaining_permissions"])
    answer = adapter.sign_in(CARD, PIN)
    assert isinstance(answer, Unavailable)
    assert "borrowers" in answer.reason


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_koha_refuses_nobody(adapter, koha, status):
    koha.fail_next(status=status, operation="password.validation")
    assert isinstance(adapter.sign_in(CARD, PIN), Unavailable)


def test_a_koha_that_is_down_refuses_nobody(connect):
    assert isinstance(connect("http://127.0.0.1:1").sign_in(CARD, PIN), Unavailable)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b"{}"),
        (204, b""),
        (400, b'{"errors":[{"message":"Missing property.","path":"/body/password"}],"status":400}'),
        (400, b"<html>Bad Request</html>"),
        (404, b'{"errors":[{"message":"Not Found.","path":"/"}],"status":404}'),
    ],
)
def test_strange_answers_refuse_nobody(connect, canned, status, body):
    assert isinstance(connect(canned(status, body)).sign_in(CARD, PIN), Unavailable)


# --- finding patrons --------------------------------------------------------------------------


def test_a_card_number_leads_to_its_patron(adapter, koha):
    assert adapter.find_patron(CARD) == erika(koha)


@pytest.mark.parametrize("card", [CARD[:-1], CARD[1:], "1", "%", "999", f" {CARD}"])
def test_a_part_of_a_card_number_leads_nowhere(adapter, card):
    assert adapter.find_patron(card) is None


def test_an_empty_card_number_leads_nowhere_without_a_call(adapter, koha):
    assert adapter.find_patron("") is None
    assert koha.truth()["requests"] == {}


# --- reading ----------------------------------------------------------------------------------


def test_an_account_is_read_with_one_call(adapter, koha):
    adapter.account(erika(koha))
    account = adapter.account(erika(koha))
    assert requests_of(koha, "token", "account.get") == [1, 2]
    assert koha.truth()["requests"].keys() == {"token", "account.get"}
    assert account.balance == 4970
    assert [fee.cents for fee in account.fees] == [3500, 450, 150, 250, 400, 220]
    assert [fee.growing for fee in account.fees] == [False] * 5 + [True]
    assert account.complete


def test_an_open_credit_is_told(adapter, koha):
    account = adapter.account(PatronRef(str(koha.patron_ids["credit"])))
    assert (account.balance, account.open_credit) == (500, 300)


def test_a_line_with_a_part_of_a_cent_is_garbled(adapter, koha):
    koha.accounts.pay(int(erika(koha)), Decimal("0.005"), [3], note="")
    with pytest.raises(RemoteGarbledError) as caught:
        adapter.account(erika(koha))
    assert "account line 3" in str(caught.value)


def test_float_noise_changes_nothing(connect):
    koha = KohaSimulator.demo(habits=KohaHabits(float_noise=True))
    adapter = connect(koha)
    fees = payable(adapter, koha)
    assert sum(fee.cents for fee in fees) == 1250
    assert isinstance(adapter.settle(order(fees)), Applied)
    assert adapter.account(erika(koha)).balance == 3720


def test_a_patron_who_is_gone_is_named_as_such(adapter):
    with pytest.raises(RemoteRefusedError) as caught:
        adapter.account(PatronRef("99999"))
    assert "deleted or merged" in str(caught.value)


def test_a_patron_reference_that_is_none_of_kohas_is_never_sent(adapter, koha):
    with pytest.raises(RemoteAbsentError, match="borrowernumber"):
        adapter.account(PatronRef("3/../4"))
    assert koha.truth()["requests"] == {}


def test_a_card_is_read_with_one_call(adapter, koha):
    card = adapter.card(erika(koha))
    assert card.number == CARD
    assert card.blocks == ()
    assert card.valid_until is not None
    assert requests_of(koha, "patrons.get") == [1]
    assert [b.kind for b in adapter.card(PatronRef(str(koha.patron_ids["expired"]))).blocks] == ["expired"]
    assert [b.kind for b in adapter.card(PatronRef(str(koha.patron_ids["blocked"]))).blocks] == [
        "restriction"
    ]


def test_a_card_expires_by_the_librarys_calendar(connect, koha, world):
    adapter = connect(koha)
    koha.change(koha.patron_ids["erika"], expiry_date="2026-11-21")
    for hour, blocked in ((22, False), (23, True)):
        # It is midnight in Berlin at 23 o'clock UTC.
        world.shift = (datetime(2026, 11, 21, hour, 30, tzinfo=UTC) - datetime.now(UTC)).total_seconds()
        assert bool(adapter.card(erika(koha)).blocks) is blocked


# --- titles -----------------------------------------------------------------------------------


def test_titles_by_item(adapter, koha):
    found = adapter.titles(adapter.account(erika(koha)).fees)
    assert found["1"] == "Der Sommer am Wehr : Roman / Larsen, Meret"
    assert found.keys() == {"1", "2", "3"}
    assert requests_of(koha, "items.list", "biblios.get") == [1, 3]


def test_a_discarded_item_is_left_out(adapter, koha):
    fees = adapter.account(erika(koha)).fees
    koha.delete_item(1)
    assert adapter.titles(fees).keys() == {"2", "3"}


def test_a_deleted_record_is_left_out(adapter, koha):
    fees = adapter.account(erika(koha)).fees
    del koha.tables.biblios[2]
    assert adapter.titles(fees).keys() == {"1", "3"}


def test_fees_without_items_ask_nothing(adapter, koha):
    assert adapter.titles([Fee(ref="1", claim_key="1", cents=1, kind="MANUAL", text="")]) == {}
    assert koha.truth()["requests"] == {}


@pytest.mark.parametrize("trouble", ["right", "items", "record"])
def test_titles_never_hinder(adapter, koha, trouble):
    fees = adapter.account(erika(koha)).fees
    if trouble == "right":
        koha.set_rights(2, ["borrowers:edit_borrowers", "updatecharges:remaining_permissions"])
    elif trouble == "items":
        koha.fail_next(status=503, operation="items.list")
    else:
        koha.fail_next(status=500, operation="biblios.get")
    with structlog.testing.capture_logs() as logs:
        found = adapter.titles(fees)
    assert found == {}
    assert [entry["event"] for entry in logs] == ["koha_titles_left_out"]


def test_slow_titles_are_given_up(adapter, koha, world, monkeypatch):
    fees = adapter.account(erika(koha)).fees
    fetch = lookups._title

    def slowly(client, record):
        world.shift += 6
        return fetch(client, record)

    monkeypatch.setattr(lookups, "_title", slowly)
    with structlog.testing.capture_logs() as logs:
        assert adapter.titles(fees).keys() == {"1"}
    assert [entry["reason"] for entry in logs] == ["too slow"]


# --- settling ---------------------------------------------------------------------------------


def test_settling_is_one_request(adapter, koha, world):
    fees = payable(adapter, koha)
    before = dict(koha.truth()["requests"])
    outcome = adapter.settle(order(fees))
    assert isinstance(outcome, Applied)
    assert (outcome.applied, outcome.unapplied) == (1250, 0)
    assert koha.truth()["requests"] == before | {"credits.add": 1}
    assert world.failpoints == ["koha.settle.before", "koha.settle.after"]
    account = adapter.account(erika(koha))
    assert not {fee.ref for fee in account.fees} & {fee.ref for fee in fees}
    assert account.balance == 3720


def test_a_whole_settle_needs_four_calls(adapter, koha):
    adapter.account(erika(koha))
    before = sum(koha.truth()["requests"].values())
    fees = payable(adapter, koha)
    started = datetime.now(UTC)
    adapter.settle(order(fees))
    adapter.account(erika(koha))
    assert [entry.marker for entry in adapter.recent_credits(erika(koha), started)] == [MARKER]
    assert sum(koha.truth()["requests"].values()) - before == 4


def test_what_koha_is_sent(connect, canned):
    remote = canned(500, b"")
    adapter = connect(
        remote,
        library_id="ZENTRALE",
        payment_types={"card": "ONLCARD"},
        description="{method}: {marker}",
        method_names={"card": "Karte"},
    )
    fee = Fee(ref="2", claim_key="2", cents=1250, kind="OVERDUE", text="")
    adapter.settle(order([fee]))
    sent = remote.seen[-1]
    assert (sent.method, sent.path) == ("POST", "/api/v1/patrons/3/account/credits")
    assert b'"amount": 12.50,' in sent.body
    assert json.loads(sent.body) == {
        "amount": 12.5,
        "credit_type": "PAYMENT",
        "account_lines_ids": [2],
        "payment_type": "ONLCARD",
        "description": f"Karte: {MARKER}",
        "note": MARKER,
        "library_id": "ZENTRALE",
    }
    assert sent.headers["authorization"] == "Bearer t"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["accept"] == "application/json"


def test_another_method_has_the_common_payment_type(connect, canned):
    remote = canned(500, b"")
    adapter = connect(remote, payment_types={"card": "ONLCARD"})
    fee = Fee(ref="2", claim_key="2", cents=1250, kind="OVERDUE", text="")
    adapter.settle(order([fee], method="new_method"))
    body = json.loads(remote.seen[-1].body)
    assert (body["payment_type"], body["description"]) == (
        "ONLINE",
        f"Online bezahlt (new_method), Beleg {MARKER}",
    )


@pytest.mark.parametrize("changes", [{"currency": "CHF"}, {"cents": 1249}, {"marker": "x"}, {"lines": ()}])
def test_a_visibly_wrong_order_makes_no_call(adapter, koha, changes):
    fees = payable(adapter, koha)
    before = koha.truth()["requests"]
    outcome = adapter.settle(order(fees, **changes))
    assert isinstance(outcome, NotApplied)
    assert outcome.permanent
    assert koha.truth()["requests"] == before


def test_a_surplus_is_told(adapter, koha):
    patron = koha.patron_ids["jan"]
    (fee,) = adapter.account(PatronRef(str(patron))).fees
    koha.pay_at_desk(patron, int(fee.ref), 100)
    outcome = adapter.settle(order([fee], patron=str(patron)))
    assert (outcome.applied, outcome.unapplied) == (50, 100)


def test_a_part_of_a_grown_fee_can_be_settled(adapter, koha):
    fee = adapter.account(erika(koha)).fees[-1]
    koha.grow_fee(int(fee.ref), 50)
    assert isinstance(adapter.settle(order([fee])), Applied)
    assert adapter.account(erika(koha)).fees[-1].cents == 50


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_failure_of_the_server_is_unclear(adapter, koha, status, after_effect):
    fees = payable(adapter, koha)
    koha.fail_next(status=status, operation="credits.add", after_effect=after_effect)
    assert isinstance(adapter.settle(order(fees)), Unclear)
    assert len(adapter.find_credits(erika(koha), MARKER)) == after_effect
    assert requests_of(koha, "credits.add") == [1]


def test_a_lost_answer_is_unclear_and_the_credit_is_found(adapter, koha):
    fees = payable(adapter, koha)
    koha.lose_answer()
    assert isinstance(adapter.settle(order(fees)), Unclear)
    (found,) = adapter.find_credits(erika(koha), MARKER)
    assert (found.cents, found.unapplied, found.marker) == (1250, 0, MARKER)
    assert requests_of(koha, "credits.add") == [1]


def test_a_late_effect_is_unclear_and_found_later(adapter, koha):
    fees = payable(adapter, koha)
    koha.apply_late(0.3)
    assert isinstance(adapter.settle(order(fees)), Unclear)
    assert adapter.find_credits(erika(koha), MARKER) == []
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not (found := adapter.find_credits(erika(koha), MARKER)):
        assert datetime.now(UTC) < deadline
    assert [credit.cents for credit in found] == [1250]


def test_a_deadlock_leaves_a_dead_credit_that_is_seen(adapter, koha):
    fees = payable(adapter, koha)
    koha.deadlock_next()
    assert isinstance(adapter.settle(order(fees)), Unclear)
    (found,) = adapter.find_credits(erika(koha), MARKER)
    assert (found.cents, found.unapplied) == (1250, 1250)


def test_a_slow_koha_is_unclear(connect, koha):
    adapter = connect(koha, deadline_seconds=0.4)
    fees = payable(adapter, koha)
    koha.delay_next(1.0)
    assert isinstance(adapter.settle(order(fees)), Unclear)


def test_a_koha_that_is_down_got_nothing(connect, koha):
    adapter = connect("http://127.0.0.1:1")
    fee = Fee(ref="2", claim_key="2", cents=450, kind="OVERDUE", text="")
    outcome = adapter.settle(order([fee]))
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("TLSV1_ALERT_PROTOCOL_VERSION", NotApplied), ("UNEXPECTED_EOF_WHILE_READING", Unclear)],
)
def test_only_a_failed_handshake_is_certain_among_the_errors_of_tls(
    adapter, koha, monkeypatch, reason, outcome
):
    asked = order(payable(adapter, koha))
    monkeypatch.setattr(requests.Session, "request", Mock(side_effect=tls_because(reason)))
    assert isinstance(adapter.settle(asked), outcome)


def test_a_koha_that_goes_down_after_the_token_got_nothing(connect, koha):
    adapter = connect(koha)
    fees = payable(adapter, koha)
    adapter._client._config = adapter._config.model_copy(update={"url": "http://127.0.0.1:1/api/v1"})
    outcome = adapter.settle(order(fees))
    assert isinstance(outcome, NotApplied)
    assert outcome.reason.startswith("koha_not_reached")


@contextmanager
def one_connection(answer):
    """A server that reads one request and sends *answer*, byte for byte, before it closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 201 Cre",
        b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"account_line_id": 1',
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 307 Elsewhere\r\nLocation: /api/v1/other\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_whatever_goes_wrong_after_sending_is_unclear(connect, answer):
    with one_connection(answer) as address:
        adapter = connect(
            address,
            client_id=None,
            client_secret=None,
            username="kasse",
            password=SecretStr("secret"),
        )
        fee = Fee(ref="2", claim_key="2", cents=450, kind="OVERDUE", text="")
        assert isinstance(adapter.settle(order([fee])), Unclear)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (413, b"<html>Too Large</html>", NotApplied),
        (429, b"", NotApplied),
        (403, b"<html>Blocked</html>", Unclear),
        (200, b'{"account_line_id": 12}', Unclear),
        (201, b'{"account_line_id": NaN}', Unclear),
        (201, b"[" * 100_000, Unclear),
    ],
)
def test_answers_of_others_in_between(connect, canned, status, body, outcome):
    adapter = connect(canned(status, body))
    fee = Fee(ref="2", claim_key="2", cents=450, kind="OVERDUE", text="")
    assert isinstance(adapter.settle(order([fee])), outcome)


def test_a_missing_right_to_write_is_mendable(adapter, koha):
    fees = payable(adapter, koha)
    koha.set_rights(2, ["borrowers:edit_borrowers"])
    assert adapter.settle(order(fees)) == NotApplied(reason="koha_403_right_missing")
    assert credits_of(koha) == []


def test_a_patron_who_is_gone_is_final(adapter, koha):
    outcome = adapter.settle(order(payable(adapter, koha), patron="99999"))
    assert outcome == NotApplied(reason="koha_404_patron_missing", permanent=True)


# --- credits ----------------------------------------------------------------------------------


def test_an_absent_marker_is_an_empty_answer(adapter, koha):
    assert adapter.find_credits(erika(koha), MARKER) == []


def test_a_marker_that_staff_wrote_beside_is_found(adapter, koha):
    adapter.settle(order(payable(adapter, koha)))
    (line,) = [line for line in koha.tables.lines.values() if line.note == MARKER]
    line.note = f"{MARKER} geprüft, mb"
    assert len(adapter.find_credits(erika(koha), MARKER)) == 1


@pytest.mark.parametrize("note", [f"{MARKER}5", f"X{MARKER}", MARKER.lower()])
def test_a_marker_that_only_looks_alike_is_not_ours(adapter, koha, note):
    adapter.settle(order(payable(adapter, koha)))
    (line,) = [line for line in koha.tables.lines.values() if line.note == MARKER]
    line.note = note
    assert adapter.find_credits(erika(koha), MARKER) == []


def test_the_same_marker_twice_is_shown_twice(adapter, koha):
    fees = payable(adapter, koha)
    adapter.settle(order(fees))
    adapter.settle(order(fees))
    assert len(adapter.find_credits(erika(koha), MARKER)) == 2


def test_a_credit_search_that_fails_is_no_empty_answer(adapter, koha):
    koha.fail_next(status=500, operation="credits.list")
    with pytest.raises(RemoteUnavailableError):
        adapter.find_credits(erika(koha), MARKER)


def test_recent_credits_come_newest_first_and_with_the_desks_own(adapter, koha):
    started = datetime.now(UTC)
    fees = payable(adapter, koha)
    adapter.settle(order(fees[:1], marker="ILSP-AAAAAA-1"))
    koha.pay_at_desk(koha.patron_ids["erika"], 1, 100)
    found = adapter.recent_credits(erika(koha), started)
    assert [(entry.marker, entry.cents) for entry in found] == [(None, 100), ("ILSP-AAAAAA-1", 450)]


def test_old_credits_are_not_recent(adapter, koha):
    adapter.settle(order(payable(adapter, koha)))
    later = datetime.now(UTC) + timedelta(seconds=5)
    assert adapter.recent_credits(erika(koha), later) == []


def test_a_credit_of_the_same_second_is_recent(connect, koha):
    adapter = connect(koha, clock_tolerance_seconds=0)
    adapter.settle(order(payable(adapter, koha)))
    (line,) = [line for line in koha.tables.lines.values() if line.note == MARKER]
    line.date = line.date.replace(microsecond=0)
    assert len(adapter.recent_credits(erika(koha), line.date.replace(microsecond=999_999))) == 1


def test_many_recent_credits_are_all_read(adapter, koha):
    started = datetime.now(UTC)
    for _ in range(23):
        koha.pay_at_desk(koha.patron_ids["erika"], 1, 1)
    assert len(adapter.recent_credits(erika(koha), started)) == 23


# --- credentials ------------------------------------------------------------------------------


def test_a_token_is_kept_and_renewed_before_it_ends(adapter, koha, world):
    for _ in range(3):
        adapter.account(erika(koha))
    assert requests_of(koha, "token") == [1]
    world.shift = 3500
    adapter.account(erika(koha))
    assert requests_of(koha, "token") == [1]
    world.shift = 3545
    adapter.account(erika(koha))
    assert requests_of(koha, "token") == [2]


def test_a_token_that_koha_forgot_is_renewed_once_for_reading(adapter, koha):
    adapter.account(erika(koha))
    koha.tables.tokens.clear()
    assert adapter.account(erika(koha)).balance == 4970
    assert requests_of(koha, "token", "account.get") == [2, 3]


def test_a_token_that_koha_forgot_before_the_money_call_costs_one_try(adapter, koha):
    fees = payable(adapter, koha)
    koha.tables.tokens.clear()
    assert adapter.settle(order(fees)) == NotApplied(reason="koha_401_not_authenticated")
    assert requests_of(koha, "credits.add") == [1]
    assert isinstance(adapter.settle(order(fees)), Applied)
    assert len(credits_of(koha)) == 1


def test_no_token_no_money_call(connect, koha):
    adapter = connect(koha, client_secret=SecretStr("wrong"))
    fee = Fee(ref="2", claim_key="2", cents=450, kind="OVERDUE", text="")
    outcome = adapter.settle(order([fee]))
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent
    assert requests_of(koha, "credits.add") == [0]


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"no", b'{"access_token": 5}', b'{"access_token": ""}', b'{"access_token": "a\\nb"}'],
)
def test_an_answer_without_a_token_is_garbled(connect, body):
    class Tokenless:
        def handle(self, request):
            return Reply(status=200, body=body)

    with pytest.raises(RemoteGarbledError):
        connect(Tokenless()).account(PatronRef("3"))


def test_basic_authentication_works(connect, koha):
    adapter = connect(
        koha, client_id=None, client_secret=None, username="onlinekasse", password=SecretStr("demo-secret")
    )
    assert isinstance(adapter.settle(order(payable(adapter, koha))), Applied)
    assert requests_of(koha, "token") == [0]


def test_a_database_that_is_down_is_no_fault_of_the_credentials(connect, koha):
    basic = connect(
        koha, client_id=None, client_secret=None, username="onlinekasse", password=SecretStr("demo-secret")
    )
    bearer = connect(koha)
    bearer.account(erika(koha))
    koha.database_down()
    for adapter in (basic, bearer):
        with pytest.raises(RemoteUnavailableError):
            adapter.account(erika(koha))
    koha.database_down(down=False)
    assert bearer.account(erika(koha)).balance == 4970


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", RemoteGarbledError),
        (200, b"[]", RemoteGarbledError),
        (301, b"", RemoteRefusedError),
        (400, b'[{"message":"Malformed query string","path":"/query/x"}]', RemoteGarbledError),
        (401, b'{"error":"Authentication failure."}', RemoteRefusedError),
        (403, b'{"error":"x","required_permissions":{"borrowers":"1"}}', RemoteRefusedError),
        (403, b"<html>", RemoteRefusedError),
        (404, b"<html>", RemoteRefusedError),
        (404, b'{"errors":[{"message":"Not Found.","path":"/"}],"status":404}', RemoteRefusedError),
        (408, b"", RemoteUnavailableError),
        (429, b"", RemoteUnavailableError),
        (500, b"", RemoteUnavailableError),
        (503, b"", RemoteUnavailableError),
    ],
)
def test_what_a_failed_question_means(connect, canned, status, body, error):
    with pytest.raises(error) as caught:
        connect(canned(status, body)).account(PatronRef("3"))
    assert caught.value.mend


# --- nothing leaks ----------------------------------------------------------------------------

CANARIES = {"card": "CANARY-CARD-8765", "pin": "canary-pin-4321", "secret": "canary-secret-1111"}


def test_no_card_pin_or_secret_in_errors_and_logs(connect, canned, caplog):
    caplog.set_level(logging.INFO)
    said = []
    credentials = {"client_secret": SecretStr(CANARIES["secret"])}
    remotes = [
        connect(canned(status, body), **credentials)
        for status, body in [
            (200, b'[{"cardnumber":"CANARY-CARD-8765"},{"cardnumber":"CANARY-CARD-8765"}]'),
            (500, b'{"error":"CANARY-CARD-8765 canary-pin-4321"}'),
            (403, b'{"error":"CANARY-CARD-8765"}'),
            (400, b'{"errors":[{"message":"CANARY-CARD-8765","path":"/"}],"status":400}'),
            (201, b'{"cardnumber":"CANARY-CARD-8765"}'),
        ]
    ]
    remotes.append(connect("http://127.0.0.1:1", **credentials))
    with structlog.testing.capture_logs() as logs:
        for adapter in remotes:
            for call in (adapter.find_patron, lambda _, a=adapter: a.account(PatronRef("3"))):
                try:
                    said.append(repr(call(CANARIES["card"])))
                except RemoteError as error:
                    said += [str(error), repr(error), repr(error.__cause__), repr(error.args)]
            said.append(repr(adapter.sign_in(CANARIES["card"], CANARIES["pin"])))
            said += [repr(adapter._client._token), repr(adapter._config), repr(adapter)]
            fee = Fee(ref="2", claim_key="2", cents=450, kind="OVERDUE", text="", item="1")
            said += [repr(adapter.settle(order([fee]))), repr(adapter.titles([fee]))]
            said += [repr(finding) for finding in adapter.check()]
    everything = "\n".join([*said, repr(logs), caplog.text])
    assert len(everything) > 1000
    for canary in CANARIES.values():
        assert canary not in everything


# --- configuration ----------------------------------------------------------------------------

GOOD = {
    "url": "https://koha.example/api/v1",
    "client_id": "id",
    "client_secret": SecretStr("secret"),
}


@pytest.mark.parametrize(
    "url", ["https://koha.example/api/v1/", "http://127.0.0.1:8080/api/v1", "http://localhost/api/v1"]
)
def test_good_addresses(url):
    assert KohaConfig(**(GOOD | {"url": url})).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"url": "koha.example/api/v1"}, "write it like"),
        ({"url": "ftp://koha.example/api/v1"}, "write it like"),
        ({"url": "http://koha.example/api/v1"}, "https"),
        ({"url": "http://127.example/api/v1"}, "https"),
        ({"url": "https://koha.example"}, "must end in /api/v1"),
        ({"url": "https://koha.example/api/v1?x=1"}, "must end in /api/v1"),
        ({"url": "https://me:pw@koha.example/api/v1"}, "use username and password"),
        ({"client_secret": None}, "either client_id"),
        ({"client_id": None, "client_secret": None}, "either client_id"),
        ({"username": "kasse", "password": SecretStr("pw")}, "either client_id"),
        ({"username": "kasse"}, "either client_id"),
        (
            {"client_id": None, "client_secret": None, "username": "a:b", "password": SecretStr("x")},
            "colon",
        ),
        ({"payment_type": "CASH"}, "PAYMENT_TYPE"),
        ({"payment_types": {"card": "SIP00"}}, "PAYMENT_TYPE"),
        ({"payment_type": " "}, "PAYMENT_TYPE"),
        ({"payment_type": ""}, "payment_type"),
        ({"description": "{name}"}, "only {method} and {marker}"),
        ({"description": "{"}, "only {method} and {marker}"),
        ({"description": "{0}"}, "only {method} and {marker}"),
        ({"description": "{marker.x}"}, "only {method} and {marker}"),
        ({"description": "{marker!r:>99999}"}, "only {method} and {marker}"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"late_apply_minutes": 0}, "late_apply_minutes"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_configuration_names_its_mend(changes, mend):
    with pytest.raises(ValidationError) as caught:
        KohaConfig(**(GOOD | changes))
    assert mend in str(caught.value)


def test_every_field_is_described():
    assert all(field.description for field in KohaConfig.model_fields.values())


def test_two_actors_may_call_at_once(connect, koha):
    adapter = connect(koha)
    fees = payable(adapter, koha)
    outcomes = []
    threads = [
        threading.Thread(
            target=lambda fee=fee, n=n: outcomes.append(
                adapter.settle(order([fee], marker=f"ILSP-AAAAA{n}-1"))
            )
        )
        for n, fee in enumerate(fees)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == len(fees)
    assert all(isinstance(outcome, Applied | Unclear) for outcome in outcomes)
