"""Each preset before its simulator: who is who, what is owed, what is booked, what is absent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from ils_payment_opac_soap.adapter import SOAPSystem
from ils_payment_opac_soap.config import SOAPConfig
from ils_payment_opac_soap.simulator import Fault, SOAPSimulator

from ils_payment.errors import (
    PinNeededError,
    RemoteAbsentError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Applied,
    Lifted,
    MarkerSupport,
    NotApplied,
    PatronRef,
    Refused,
    Renewed,
    RenewOrder,
    RenewSupport,
    Unavailable,
    Unclear,
)
from ils_payment.testing.simulator import serve
from ils_payment.world import PluginHost, World
from tests.opac_soap.conftest import CARD, JAN, LIBRARY, MARKER, OLE, PIN, PRESETS, SELMA, Stand, table
from tests.transport_errors import tls_because

WITH_FEES = ("arena", "ncip", "sunrise-rpc", "symphony")
PAYING = ("arena", "ncip", "symphony")
UNATTENDED = ("ncip", "symphony")


@pytest.mark.parametrize("preset", PRESETS)
def test_only_the_right_pin_signs_in(preset):
    stand = Stand(preset)
    assert isinstance(stand.system.sign_in(CARD, PIN), str)
    assert stand.system.sign_in(f" {CARD} ", PIN) == stand.erika
    assert stand.system.sign_in(CARD, "0000") == Refused()
    assert stand.system.sign_in("99999999999999", PIN) == Refused()
    assert stand.system.sign_in(CARD, "") == Refused()
    assert stand.system.sign_in(CARD, "a\x00b") == Refused()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_reference_of_a_patron_hides_the_card(preset):
    stand = Stand(preset)
    assert stand.erika == stand.erika
    assert stand.erika != stand.patron(JAN)
    assert CARD not in stand.erika
    with pytest.raises(RemoteAbsentError, match="patron_key"):
        stand.system._refs.card(PatronRef("AAAA"))


@pytest.mark.parametrize("preset", WITH_FEES)
def test_what_is_owed_is_read_to_the_cent(preset):
    stand = Stand(preset)
    account = stand.system.account(stand.erika)
    assert (account.balance, account.open_credit, account.complete) == (1250, 0, True)
    assert sum(fee.cents for fee in account.fees) == 1250
    assert all(fee.payable == (preset in PAYING) for fee in account.fees)
    if preset != "sunrise-rpc":
        assert [fee.cents for fee in account.fees] == [450, 150, 250, 400]
        assert all(fee.ref and fee.claim_key == fee.ref and fee.since for fee in account.fees)
        assert account.fees[0].text == "Säumnisgebühr"


@pytest.mark.parametrize("preset", WITH_FEES)
def test_one_fee_and_no_fee_are_read_like_many(preset):
    stand = Stand(preset)
    jan = stand.patron(JAN)
    assert [fee.cents for fee in stand.system.account(jan).fees] == [150]
    stand.server.books.pay(JAN, 150, at=stand.world.now())
    account = stand.system.account(stand.patron(JAN))
    assert (account.fees, account.balance) == ((), 0)


def test_without_ids_one_fee_stands_for_the_whole_balance_and_says_why_it_cannot_be_paid():
    stand = Stand("sunrise-rpc")
    [fee] = stand.system.account(stand.erika).fees
    assert (fee.ref, fee.claim_key, fee.cents, fee.payable) == (None, "account", 1250, False)
    assert fee.reason is not None
    assert "Theke" in fee.reason["de"]
    assert stand.system.capabilities().fee_ids is False
    assert not stand.system.capabilities().handed_over


@pytest.mark.parametrize("preset", ["ncip", "sunrise-rpc", "symphony"])
def test_the_card_says_until_when_it_is_valid(preset):
    stand = Stand(preset)
    today = stand.world.now().date()
    card = stand.system.card(stand.erika)
    assert (card.number, card.valid_until, card.blocks) == (CARD, today + timedelta(days=200), ())
    over = stand.system.card(stand.patron(OLE))
    assert [block.kind for block in over.blocks] == ["expired"]


@pytest.mark.parametrize("preset", ["ncip", "sunrise-rpc"])
def test_a_block_is_read_as_one(preset):
    stand = Stand(preset)
    [block] = stand.system.card(stand.patron(SELMA)).blocks
    assert (block.kind, block.manual) == ("restriction", preset == "sunrise-rpc")


@pytest.mark.parametrize("preset", PAYING)
def test_a_payment_is_booked_once_with_marker_and_method(preset):
    stand = Stand(preset, payment_types={"card": "KARTE"})
    outcome = stand.system.settle(stand.order())
    assert isinstance(outcome, Applied)
    assert (outcome.applied, outcome.unapplied) == (450, 0)
    assert stand.booked() == [(450, MARKER)]
    [credit] = stand.books()["credits"].values()
    assert len(credit["applied"]) == 1
    assert credit["payment_type"] == {"arena": "00", "ncip": "KARTE", "symphony": "KARTE"}[preset]
    assert stand.sent() == 1


def test_all_fees_of_a_payment_go_into_one_call_where_the_ids_are_joined():
    stand = Stand("arena")
    outcome = stand.system.settle(stand.order(("G101", "G103")))
    assert outcome == Applied(remote_ref=MARKER, applied=700, unapplied=0)
    assert b"<ns0:id>G101,G103</ns0:id>" in stand.server.last_body
    assert stand.books()["balance"] == 550


@pytest.mark.parametrize("preset", PAYING)
def test_what_can_be_seen_to_be_wrong_is_not_sent(preset):
    stand = Stand(preset)
    good = stand.order()
    [line] = good.lines
    two = replace(line, ref="G999", claim_key="G999")
    for order in (
        replace(good, currency="CHF"),
        replace(good, marker="x"),
        replace(good, cents=good.cents + 1),
        replace(good, lines=()),
        replace(good, lines=(line, line), cents=2 * line.cents),
        replace(good, lines=(replace(line, ref=None),)),
        replace(good, lines=(replace(line, ref=None, claim_key="account"),)),
        replace(good, lines=(replace(line, cents=0), replace(two, cents=good.cents))),
        replace(good, patron=PatronRef("nobody")),
    ):
        outcome = stand.system.settle(order)
        assert isinstance(outcome, NotApplied), order
        assert outcome.permanent, order
    late = replace(good, send_before=stand.world.now() - timedelta(seconds=1))
    assert stand.system.settle(late) == NotApplied(reason="soap_not_sent_in_time")
    assert stand.sent() == 0


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("TLSV1_ALERT_PROTOCOL_VERSION", NotApplied), ("UNEXPECTED_EOF_WHILE_READING", Unclear)],
)
def test_only_a_failed_handshake_is_certain_among_the_errors_of_tls(stand, monkeypatch, reason, outcome):
    order = stand.order()
    monkeypatch.setattr(requests.Session, "send", Mock(side_effect=tls_because(reason)))
    assert isinstance(stand.system.settle(order), outcome)


@pytest.mark.parametrize("preset", ["libero", "sunrise-rpc"])
def test_a_preset_that_cannot_pay_refuses_and_sends_nothing(preset):
    stand = Stand(preset)
    order = Stand("symphony").order()
    assert stand.system.settle(order) == NotApplied(reason="soap_preset_cannot_pay", permanent=True)
    assert stand.server.truth()["requests"] == {}


def test_what_a_preset_does_not_know_is_refused():
    stand = Stand("libero")
    with pytest.raises(RemoteRefusedError, match="lists fees"):
        stand.system.account(stand.erika)
    for call in (
        lambda: stand.system.find_credits(stand.erika, MARKER),
        lambda: stand.system.recent_credits(stand.erika, stand.world.now()),
    ):
        with pytest.raises(RemoteRefusedError):
            call()
    assert stand.system.titles([]) == {}
    renewal = RenewOrder(patron=stand.erika, marker=MARKER, base=None, until=date(2030, 1, 1))
    assert isinstance(stand.system.renew_card(renewal), NotApplied)
    assert stand.system.capabilities().can_renew is RenewSupport.NO


# --- who answers with the PIN only ------------------------------------------------------------------


def test_where_reading_needs_the_pin_the_sign_in_is_remembered_for_minutes_and_till_a_payment():
    stand = Stand("arena", remember_minutes=5)
    erika, asked = stand.erika, stand.sent("GetDebts")
    assert stand.system.account(erika).balance == 1250
    assert stand.system.card(erika).number == CARD
    assert stand.sent("GetDebts") == asked
    stand.world.pass_time(minutes=6)
    with pytest.raises(PinNeededError):
        stand.system.account(erika)
    order = stand.order()
    stand.system.settle(order)
    with pytest.raises(PinNeededError):
        stand.system.account(order.patron)
    with pytest.raises(PinNeededError):
        stand.system.find_patron(CARD)


# --- sessions ---------------------------------------------------------------------------------------


def test_one_session_serves_many_questions_and_a_lost_one_is_begun_anew():
    stand = Stand("symphony")
    erika = stand.erika
    for _ in range(3):
        stand.system.account(erika)
    logins = stand.sent("LoginUserRequest")
    stand.server.end_sessions()
    assert stand.system.account(erika).balance == 1250
    assert stand.sent("LoginUserRequest") == logins + 1


def test_an_old_session_is_not_used_again():
    stand = Stand("symphony", session_minutes=5)
    erika = stand.erika
    logins = stand.sent("LoginUserRequest")
    stand.world.pass_time(minutes=6)
    stand.system.account(erika)
    assert stand.sent("LoginUserRequest") == logins + 1


def test_a_session_that_ends_before_a_payment_is_not_repeated_in_the_plugin_but_begun_anew_for_the_next_try():
    stand = Stand("symphony")
    order = stand.order()
    stand.server.end_sessions()
    assert stand.system.settle(order) == NotApplied(reason="soap_session_ended")
    assert stand.sent() == 1
    assert isinstance(stand.system.settle(order), Applied)
    assert stand.booked() == [(450, MARKER)]


def test_our_own_wrong_password_is_told_to_the_administrator():
    stand = Stand("symphony")
    stand.server.voice.staff = ("kasse", "another")
    with pytest.raises(RemoteRefusedError, match="credentials") as told:
        stand.system.account(stand.system._refs.ref(CARD))
    assert "demo-secret" not in str(told.value)
    order = Stand("symphony").order()
    outcome = stand.system.settle(order)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


# --- markers and renewal, which presets leave off -----------------------------------------------------


def test_a_marker_is_found_again_once_the_library_has_switched_that_on():
    stand = Stand("symphony", enable=["credits"])
    assert stand.system.capabilities().marker is MarkerSupport.READABLE
    order = stand.order()
    assert stand.system.find_credits(order.patron, MARKER) == []
    stand.system.settle(order)
    [credit] = stand.system.find_credits(order.patron, MARKER)
    assert (credit.marker, credit.cents, credit.unapplied) == (MARKER, 450, 0)
    assert stand.system.find_credits(order.patron, "ILSP-AAAAAA-A") == []


def test_a_card_is_renewed_from_the_day_that_was_read_and_never_otherwise():
    stand = Stand("ncip", enable=["renew"])
    assert stand.system.capabilities().can_renew is RenewSupport.GIVEN_DATE
    ole = stand.patron(OLE)
    base, until = stand.system.card(ole).valid_until, date(2027, 11, 21)
    order = RenewOrder(patron=ole, marker=MARKER, base=base, until=until)
    assert stand.system.renew_card(order) == Renewed(valid_until=until)
    assert stand.system.card(ole).valid_until == until
    again = stand.system.renew_card(order)
    assert again == NotApplied(reason="soap_card_changed_meanwhile", permanent=True)
    assert stand.sent("UpdateUser") == 1


def own_ncip(tmp_path) -> dict[str, Any]:
    """A copy of the preset in which a block may be lifted."""
    text = (files("ils_payment_opac_soap") / "presets" / "ncip.toml").read_text(encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text(text.replace('kind = "restriction"', 'kind = "fees"\nlift = "Block Check Out"'), "utf-8")
    return {"preset_file": str(path), "enable": ["unblock"]}


def test_a_block_is_lifted_where_the_library_says_which(tmp_path):
    stand = Stand("ncip", **own_ncip(tmp_path))
    assert stand.system.capabilities().can_lift
    selma = stand.patron(SELMA)
    [block] = stand.system.card(selma).blocks
    assert (block.kind, block.liftable) == ("fees", True)
    assert stand.system.lift_block(selma, block) == Lifted()
    assert stand.system.card(selma).blocks == ()
    assert stand.system.lift_block(selma, block) == Lifted()


def test_a_block_is_left_alone_where_nobody_said_so(tmp_path):
    stand = Stand("ncip")
    selma = stand.patron(SELMA)
    [block] = stand.system.card(selma).blocks
    assert not block.liftable
    assert isinstance(stand.system.lift_block(selma, block), NotApplied)
    stand = Stand("ncip", **own_ncip(tmp_path))
    by_hand = replace(block, kind="fees", manual=True)
    assert isinstance(stand.system.lift_block(selma, by_hand), NotApplied)
    assert stand.sent("UpdateUser") == 0
    stand.server.go_wrong(Fault.LOST, "UpdateUser")
    assert isinstance(stand.system.lift_block(selma, replace(by_hand, manual=False)), Unclear)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.LOST, Unclear),
        (Fault.NO_WORDS, Unclear),
        (Fault.HTML, Unclear),
        (Fault.BOMB, Unclear),
    ],
)
def test_a_renewal_without_a_clear_answer_is_unclear(fault, expected):
    stand = Stand("ncip", enable=["renew"])
    ole = stand.patron(OLE)
    base = stand.system.card(ole).valid_until
    stand.server.go_wrong(fault, "UpdateUser")
    order = RenewOrder(patron=ole, marker=MARKER, base=base, until=date(2027, 11, 21))
    assert isinstance(stand.system.renew_card(order), expected)


# --- questions that go wrong ------------------------------------------------------------------------

READS = {
    "arena": "GetDebts",
    "ncip": "LookupUser",
    "sunrise-rpc": "show_account",
    "symphony": "LookupPatronInfoRequest",
}


@pytest.mark.parametrize("preset", ["ncip", "sunrise-rpc", "symphony"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.LOST, RemoteUnavailableError),
        (Fault.HTML, RemoteUnavailableError),
        (Fault.FAULT_AFTER, RemoteUnavailableError),
        (Fault.HTML_200, RemoteGarbledError),
        (Fault.EMPTY, RemoteGarbledError),
        (Fault.CUT, RemoteGarbledError),
        (Fault.CHARSET, RemoteGarbledError),
        (Fault.DTD, RemoteGarbledError),
        (Fault.BOMB, RemoteGarbledError),
        (Fault.EXTERNAL, RemoteGarbledError),
        (Fault.DEEP, RemoteGarbledError),
        (Fault.NO_WORDS, RemoteGarbledError),
    ],
)
def test_a_question_without_a_usable_answer_is_an_error_and_never_an_empty_account(preset, fault, error):
    stand = Stand(preset)
    erika = stand.erika
    stand.server.go_wrong(fault, READS[preset])
    with pytest.raises(error) as told:
        stand.system.account(erika)
    assert CARD not in str(told.value)
    assert stand.system.account(erika).balance == 1250


@pytest.mark.parametrize("preset", UNATTENDED)
def test_an_answer_about_another_patron_is_never_taken_for_this_one(preset):
    stand = Stand(preset)
    erika = stand.erika
    stand.server.go_wrong(Fault.OTHER_PATRON, READS[preset], 2)
    with pytest.raises(RemoteGarbledError, match="another patron"):
        stand.system.account(erika)
    with pytest.raises(RemoteGarbledError, match="another patron"):
        stand.system.card(erika)


def test_a_mixed_up_sign_in_signs_nobody_in_as_somebody_else():
    stand = Stand("ncip")
    stand.server.go_wrong(Fault.OTHER_PATRON, "LookupUser")
    assert isinstance(stand.system.sign_in(CARD, PIN), Unavailable)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_server_that_is_away_is_no_wrong_pin(preset):
    stand = Stand(preset)
    stand.world.remotes = {}
    assert isinstance(stand.system.sign_in(CARD, PIN), Unavailable)


def test_a_failing_service_is_no_wrong_pin():
    stand = Stand("arena")
    stand.server.voice.fails_with = "BackendError"
    assert isinstance(stand.system.sign_in(CARD, PIN), Unavailable)


def test_a_patron_who_is_not_there_is_told_from_one_who_is():
    stand = Stand("ncip")
    assert stand.system.find_patron("99999999999999") is None
    assert stand.system.find_patron("") is None
    assert stand.system.find_patron(CARD) == stand.erika
    with pytest.raises(RemoteAbsentError):
        stand.system.account(stand.system._refs.ref("99999999999999"))


def test_a_patron_without_a_fiscal_account_owes_nothing():
    stand = Stand("ncip")
    stand.server.voice.shows_empty_accounts = False
    assert stand.system.account(stand.erika).balance == 1250
    stand.server.books.patrons[CARD].fees.clear()
    account = stand.system.account(stand.erika)
    assert (account.balance, account.fees, account.complete) == (0, (), True)


def test_a_library_adds_words_that_the_preset_does_not_know():
    word = "com.sirsidynix.symws.service.exceptions.PatronServiceException.other"
    with pytest.raises(RemoteUnavailableError):
        Stand("symphony").system.find_patron("99999999999999")
    assert Stand("symphony", errors={"absent": [word]}).system.find_patron("99999999999999") is None


@pytest.mark.parametrize("preset", PAYING)
def test_over_real_http_fees_are_read_and_paid(preset):
    simulator = SOAPSimulator.demo(preset=preset)
    with serve(simulator) as address:
        config = SOAPConfig.model_validate(table(preset, url=f"{address}/services"))
        system = SOAPSystem(config, PluginHost(World(), LIBRARY))
        ref = system.sign_in(CARD, PIN)
        assert isinstance(ref, str)
        stand = Stand(preset)
        order = stand.order(patron=ref)
        assert isinstance(system.settle(order), Applied)
        simulator.go_wrong(Fault.LOST)
        second = stand.order(
            (
                list(simulator.books.patrons[CARD].fees)[1].fee_id.removeprefix(
                    "G" if preset == "symphony" else ""
                ),
            ),
            patron=ref,
            marker="ILSP-7K3M9Q-5",
        )
        assert isinstance(system.settle(second), Unclear)
    assert simulator.truth()["patrons"][CARD]["balance"] == 650
    assert isinstance(system.settle(order), NotApplied)
