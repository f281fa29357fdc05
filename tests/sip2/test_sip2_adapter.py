"""The adapter before a simulated server: who signs in, what is owed, and what becomes of a payment."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ils_payment_sip2.simulator import Fault, Habits

from ils_payment.by_card import PatronRefs
from ils_payment.errors import (
    PinNeededError,
    RemoteAbsentError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from ils_payment.model import (
    Applied,
    Binding,
    MarkerSupport,
    NotApplied,
    OrderLine,
    PatronRef,
    Refused,
    RenewSupport,
    Unavailable,
    Unclear,
)
from tests.sip2.conftest import CARD, PIN, Stand

GOSSIP: dict[str, Any] = {"preset": "gossip", "dialect": {"reads_without_pin": True}}

# --- capabilities ---------------------------------------------------------------------------------


def test_what_sip2_has_no_message_for_is_declared_absent(stand):
    can = stand.system.capabilities()
    assert not can.handed_over
    assert can.can_renew is RenewSupport.NO
    absent = (can.can_charge, can.can_lift, can.titles, can.lists_expiring, can.credit_list)
    assert not any(absent)
    assert (can.marker, can.bound, can.fee_ids) == (MarkerSupport.WRITE_ONLY, Binding.LUMP, False)


@pytest.mark.parametrize("preset", ["generic", "bibliotheca", "gossip"])
def test_nothing_is_read_unattended_unless_the_dialect_says_that_the_server_answers(preset):
    assert not Stand(preset=preset, dialect={}).system.capabilities().unattended_read
    changed = Stand(preset=preset, dialect={"reads_without_pin": True})
    assert changed.system.capabilities().unattended_read


def test_no_secret_is_in_the_identity(stand):
    assert stand.system.capabilities().identity == "sip2://sip2.test:6001/LINDENTAL"


@pytest.mark.parametrize("call", ["find_credits", "recent_credits"])
def test_what_is_absent_is_refused(stand, call):
    with pytest.raises(RemoteRefusedError, match="SIP2 cannot"):
        getattr(stand.system, call)(stand.erika, "x")


# --- signing in -----------------------------------------------------------------------------------


def test_card_and_pin_sign_in_and_the_reference_is_not_the_card(stand):
    ref = stand.system.sign_in(f" {CARD} ", PIN)
    assert isinstance(ref, str)
    assert CARD not in ref
    assert ref == stand.system.find_patron(CARD) == stand.erika


@pytest.mark.parametrize(
    ("card", "pin"), [(CARD, "9999"), ("nobody", PIN), (CARD, ""), ("", PIN), ("1|AD1", PIN), (CARD, "1\r")]
)
def test_every_wrong_combination_is_refused_alike(stand, card, pin):
    assert stand.system.sign_in(card, pin) == Refused()


def test_expired_and_blocked_patrons_sign_in_like_others(stand):
    assert isinstance(stand.system.sign_in("21234000012369", "1234"), str)
    assert isinstance(stand.system.sign_in("21234000012376", "2345"), str)


def test_without_a_verdict_on_the_pin_nobody_is_signed_in():
    stand = Stand(habits=Habits(judges_pins=False))
    assert isinstance(stand.system.sign_in(CARD, PIN), Unavailable)


def test_an_empty_pin_is_never_sent(stand):
    stand.system.sign_in(CARD, "")
    assert stand.sent("63") == 0


def test_an_answer_of_another_patron_signs_nobody_in(stand):
    stand.server.go_wrong(Fault.OTHER_PATRON, "63")
    assert isinstance(stand.system.sign_in(CARD, PIN), Unavailable)


def test_a_card_is_found_only_where_the_server_answers_without_a_pin():
    assert Stand().system.find_patron("unknown") is None
    with pytest.raises(PinNeededError):
        Stand(dialect={}).system.find_patron(CARD)


def test_references_of_another_key_lead_to_nobody(stand):
    from pydantic import SecretStr

    other = PatronRefs(SecretStr("another key of more than 32 characters"), "sip2")
    for ref in (other.ref(CARD), PatronRef("51"), PatronRef(CARD), PatronRef("ü")):
        with pytest.raises(RemoteAbsentError):
            stand.system.account(ref)


# --- reading --------------------------------------------------------------------------------------


def test_where_fees_have_no_ids_the_whole_balance_is_one_fee(stand):
    account = stand.system.account(stand.erika)
    [fee] = account.fees
    assert (fee.ref, fee.claim_key, fee.cents, account.balance) == (None, "account", 1250, 1250)


def test_free_text_of_fees_is_shown_with_the_one_fee():
    [fee] = (stand := Stand(preset="koha", dialect={})).system.account(stand.erika).fees
    assert "Säumnisgebühr 4.50 EUR; Vormerkung 1.50 EUR" in fee.text


def test_positions_with_ids_are_fees_of_their_own():
    account = (stand := Stand(**GOSSIP)).system.account(stand.erika)
    assert [(fee.ref, fee.cents, fee.kind) for fee in account.fees] == [
        ("G101", 450, "SAEUM"),
        ("G102", 150, "VORM"),
        ("G103", 250, "ERSATZ"),
        ("G104", 400, "FL"),
    ]
    assert account.complete
    assert account.fees[0].since == stand.world.now().date() - timedelta(days=12)


def test_nothing_is_owed_where_nothing_is_open(stand):
    account = stand.system.account(stand.patron("21234000012390"))
    assert (account.balance, account.fees) == (0, ())


def test_a_sum_that_is_missing_though_there_are_fees_is_garbled():
    stand = Stand(habits=Habits(shows_sum=False))
    with pytest.raises(RemoteGarbledError, match="how much"):
        stand.system.account(stand.erika)


def test_without_a_sum_nothing_is_owed_where_the_server_counts_no_fees():
    stand = Stand(habits=Habits(shows_sum=False))
    assert stand.system.account(stand.patron("21234000012390")).balance == 0


def test_another_currency_is_garbled():
    stand = Stand(habits=Habits(currency="CHF"))
    with pytest.raises(RemoteGarbledError, match="currency"):
        stand.system.account(stand.erika)


def test_a_decimal_comma_is_read_and_written():
    stand = Stand(dialect={"reads_without_pin": True, "decimal_mark": ","})
    assert stand.system.account(stand.erika).balance == 1250
    assert isinstance(stand.system.settle(stand.order()), Applied)
    assert stand.credits() == [(1250, "ILSP-7K3M9Q-4")]


def test_the_status_message_reads_a_patron_as_well():
    stand = Stand(dialect={"reads_without_pin": True, "read_with": "23"})
    assert stand.system.account(stand.erika).balance == 1250
    assert (stand.sent("23"), stand.sent("63")) == (2, 0)


def test_flags_become_blocks_and_a_field_the_expiry():
    stand = Stand(preset="evergreen", dialect={})
    card = stand.system.card(stand.erika)
    assert (card.number, [block.kind for block in card.blocks]) == (CARD, ["fees"])
    assert card.valid_until == stand.world.now().date() + timedelta(days=200)
    selma = stand.system.card(stand.patron("21234000012369"))
    assert "fees" in [block.kind for block in selma.blocks]
    ole = stand.system.card(stand.patron("21234000012376"))
    assert "expired" in [block.kind for block in ole.blocks]


def test_a_server_that_denies_an_expired_card_has_that_patron_all_the_same():
    """Expiry has no flag: some say BL=N and name the patron."""
    stand = Stand(habits=Habits(denies_expired=True))
    ole = stand.system.sign_in("21234000012376", "2345")
    assert isinstance(ole, str)
    stand.server.books.patrons["21234000012376"].flags = " " * 14
    stand.server.books.patrons["21234000012376"].fees.clear()
    [block] = stand.system.card(PatronRef(ole)).blocks
    assert (block.kind, block.manual) == ("restriction", True)
    assert stand.system.sign_in("21234000012376", "9999") == Refused()
    assert stand.system.sign_in("nobody", PIN) == Refused()


def test_a_denial_without_a_reason_is_a_restriction_that_a_person_lifts(stand):
    stand.server.books.patrons[CARD].fees.clear()
    stand.server.books.patrons[CARD].flags = "Y" + " " * 13
    [block] = stand.system.card(stand.erika).blocks
    assert (block.kind, block.manual) == ("restriction", True)


def test_a_patron_who_is_gone_is_absent(stand):
    ref = stand.erika
    del stand.server.books.patrons[CARD]
    with pytest.raises(RemoteAbsentError):
        stand.system.account(ref)


@pytest.mark.parametrize(
    "fault",
    [Fault.LOST, Fault.CUT, Fault.SILENT, Fault.DAMAGED_FOR_EVER, Fault.OTHER_PATRON, Fault.OTHER_CODE,
     Fault.RESEND, Fault.WRONG_SEQUENCE],
)  # fmt: skip
def test_a_question_that_is_not_answered_is_a_remote_error_and_the_next_one_is_answered(stand, fault):
    ref = stand.erika
    stand.server.go_wrong(fault, "63")
    with pytest.raises((RemoteUnavailableError, RemoteGarbledError)) as raised:
        stand.system.account(ref)
    assert CARD not in str(raised.value)
    assert stand.system.account(ref).balance == 1250


@pytest.mark.parametrize("fault", [Fault.DAMAGED, Fault.GARBAGE, Fault.STALE, Fault.TWICE])
def test_a_question_is_answered_in_spite_of(stand, fault):
    ref = stand.erika
    stand.server.go_wrong(fault, "63")
    assert stand.system.account(ref).balance == 1250
    assert stand.system.account(ref).balance == 1250


def test_a_damaged_answer_is_asked_for_again_and_the_question_is_not(stand):
    ref, asked = stand.erika, stand.sent("63")
    stand.server.go_wrong(Fault.DAMAGED, "63")
    stand.system.account(ref)
    assert (stand.sent("63"), stand.sent("97")) == (asked + 1, 1)


# --- servers that want the PIN each time ----------------------------------------------------------


def test_where_the_pin_is_wanted_the_answer_of_the_sign_in_is_shown_for_minutes():
    stand = Stand(dialect={})
    ref, asked = stand.erika, stand.sent("63")
    assert stand.system.account(ref).balance == 1250
    assert stand.system.card(ref).number == CARD
    assert stand.sent("63") == asked
    stand.world.pass_time(minutes=11)
    with pytest.raises(PinNeededError):
        stand.system.account(ref)


def test_where_the_pin_is_wanted_a_payment_ends_what_is_remembered():
    stand = Stand(dialect={})
    order = stand.order()
    assert isinstance(stand.system.settle(order), Applied)
    with pytest.raises(PinNeededError):
        stand.system.account(order.patron)


# --- the table of outcomes: message 37 ------------------------------------------------------------

# What goes wrong, what is known then, and whether the money is in the library system.
ROWS: list[tuple[Fault | None, type, str, bool]] = [
    (None, Applied, "", True),
    (Fault.REFUSED, NotApplied, "sip2_38_not_accepted", False),
    (Fault.NEITHER, Unclear, "sip2_38_neither_yes_nor_no", True),
    (Fault.OTHER_PATRON, Unclear, "sip2_38_other_patron", True),
    (Fault.LOST, Unclear, "sip2_answer_lost", True),
    (Fault.NEVER_DONE, Unclear, "sip2_answer_lost", False),
    (Fault.SILENT, Unclear, "sip2_answer_lost", True),
    (Fault.CUT, Unclear, "sip2_answer_lost", True),
    (Fault.DAMAGED, Applied, "", True),
    (Fault.DAMAGED_FOR_EVER, Unclear, "sip2_answer_lost", True),
    (Fault.WRONG_SEQUENCE, Unclear, "sip2_answer_lost", True),
    (Fault.STALE, Applied, "", True),
    (Fault.TWICE, Applied, "", True),
    (Fault.OTHER_CODE, Unclear, "sip2_answer_lost", True),
    (Fault.GARBAGE, Applied, "", True),
    (Fault.RESEND, Unclear, "sip2_answer_lost", False),
    (Fault.LATE, Unclear, "sip2_answer_lost", False),
]


@pytest.mark.parametrize(("fault", "kind", "reason", "paid"), ROWS)
def test_an_answer_to_a_payment_means(stand, fault, kind, reason, paid):
    order = stand.order()
    if fault is not None:
        stand.server.go_wrong(fault, seconds=60)
    outcome = stand.system.settle(order)
    assert isinstance(outcome, kind), outcome
    assert getattr(outcome, "reason", "").startswith(reason)
    assert stand.sent("37") == 1
    assert stand.credits() == ([(1250, order.marker)] if paid else [])
    if fault is Fault.LATE:
        stand.world.pass_time(seconds=61)
        assert stand.credits() == [(1250, order.marker)]


def test_every_fault_of_the_simulator_has_its_row():
    assert {row[0] for row in ROWS} == {None, *Fault}


@pytest.mark.parametrize("fault", [row[0] for row in ROWS if row[0] is not None])
def test_after_any_fault_the_next_payment_gets_its_own_answer(stand, fault):
    stand.server.go_wrong(fault, seconds=60)
    stand.server.books.add_fee(CARD, 5000, "Neu", since=stand.world.now().date())
    stand.system.settle(stand.order())
    outcome = stand.system.settle(stand.order(300, marker="ILSP-AAAAAA-0"))
    assert isinstance(outcome, Applied)
    assert stand.credits()[-1] == (300, "ILSP-AAAAAA-0")


def test_without_checksums_an_answer_that_is_none_stays_unclear():
    stand = Stand(dialect={"reads_without_pin": True, "error_detection": False})
    order = stand.order()
    stand.server.go_wrong(Fault.GARBAGE)
    assert isinstance(stand.system.settle(order), Unclear)


@pytest.mark.parametrize("fault", [Fault.DAMAGED, Fault.TWICE, Fault.OTHER_PATRON, Fault.LOST])
def test_without_sequence_numbers_a_stray_answer_never_answers_the_next_payment(fault):
    stand = Stand(dialect={"reads_without_pin": True, "error_detection": False})
    order = stand.order()
    stand.server.go_wrong(fault, "63")
    with contextlib.suppress(RemoteGarbledError, RemoteUnavailableError):
        stand.system.account(order.patron)
    stand.server.go_wrong(Fault.REFUSED)
    assert isinstance(stand.system.settle(order), NotApplied)
    assert isinstance(stand.system.settle(order), Applied)


def test_more_than_is_owed_is_refused_where_the_server_refuses_it(stand):
    assert stand.system.settle(stand.order(1251)) == NotApplied(reason="sip2_38_not_accepted", permanent=True)
    assert stand.credits() == []


def test_a_position_is_paid_by_its_id():
    stand = Stand(**GOSSIP)
    line = OrderLine(ref="G103", claim_key="G103", cents=250, kind="ERSATZ")
    assert isinstance(stand.system.settle(stand.order(250, lines=(line,))), Applied)
    fees = stand.account()["fees"]
    assert {ref: fee["outstanding"] for ref, fee in fees.items()} == {
        "G101": 450, "G102": 150, "G103": 0, "G104": 400,
    }  # fmt: skip


def test_another_position_in_the_answer_is_unclear():
    stand = Stand(**GOSSIP)
    stand.server._pay = lambda *_: (  # type: ignore[method-assign]  # an answer about another position
        "38",
        f"Y{stand.server._stamp()}",
        [("AO", ""), ("AA", CARD), ("FB", "G999"), ("FG", "2.50")],
    )
    line = OrderLine(ref="G103", claim_key="G103", cents=250, kind="ERSATZ")
    outcome = stand.system.settle(stand.order(250, lines=(line,)))
    assert outcome == Unclear(reason="sip2_38_other_position")


@pytest.mark.parametrize("amount", ["2.49", "zwei"])
def test_another_amount_in_the_answer_is_unclear(amount):
    stand = Stand(**GOSSIP)
    told = [("AO", ""), ("AA", CARD), ("FB", "G103"), ("FG", amount)]
    stand.server._pay = lambda *_: ("38", f"Y{stand.server._stamp()}", told)  # type: ignore[method-assign]  # as above
    line = OrderLine(ref="G103", claim_key="G103", cents=250, kind="ERSATZ")
    outcome = stand.system.settle(stand.order(250, lines=(line,)))
    assert outcome == Unclear(reason="sip2_38_other_amount")


# --- what is known before anything is sent --------------------------------------------------------

ACCOUNT = OrderLine(ref=None, claim_key="account", cents=1250, kind="account")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "CHF"}, "order_currency_differs"),
        ({"marker": "ILSP"}, "order_marker_malformed"),
        ({"lines": (ACCOUNT, ACCOUNT)}, "order_not_one_line"),
        ({"lines": ()}, "order_not_one_line"),
        (
            {"lines": (OrderLine(ref="7", claim_key="7", cents=1250, kind=""),)},
            "order_line_is_not_the_account",
        ),
        ({"cents": 1249}, "order_amount_malformed"),
        ({"patron": PatronRef("51")}, "order_patron_is_not_of_this_key"),
    ],
)
def test_a_wrong_order_is_not_sent(stand, changes, reason):
    order = stand.order(**{"lines": (ACCOUNT,), **changes})
    assert stand.system.settle(order) == NotApplied(reason=reason, permanent=True)
    assert stand.sent("37") == 0


def test_without_an_id_nothing_is_paid_where_positions_have_one():
    stand = Stand(**GOSSIP)
    assert stand.system.settle(stand.order()) == NotApplied(reason="order_line_without_id", permanent=True)


def _server_is_gone(stand: Stand) -> None:
    stand.world.streams.clear()


def _login_is_refused(stand: Stand) -> None:
    stand.server.password = "another"


def _library_system_is_offline(stand: Stand) -> None:
    stand.server.habits.online = False


@pytest.mark.parametrize("trouble", [_server_is_gone, _login_is_refused, _library_system_is_offline])
def test_what_fails_before_the_payment_is_sent_has_paid_nothing(stand, trouble):
    order = stand.order()
    stand.world.pass_time(minutes=5)
    trouble(stand)
    outcome = stand.system.settle(order)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent
    assert outcome.reason.startswith("sip2_not_sent")
    assert stand.sent("37") == 0


def test_a_payment_is_not_sent_too_late(stand):
    order = stand.order(send_before=stand.world.now() - timedelta(seconds=1))
    assert isinstance(stand.system.settle(order), NotApplied)
    assert stand.sent("37") == 0


# --- connections ----------------------------------------------------------------------------------


def test_a_connection_is_used_again_and_logs_in_once(stand):
    for _ in range(5):
        stand.system.account(stand.erika)
    assert stand.sent("93") == 1


def test_a_connection_that_stood_idle_gives_a_sign_of_life_first(stand):
    ref, before = stand.erika, stand.sent("99")
    stand.world.pass_time(seconds=30)
    stand.system.account(ref)
    assert (stand.sent("99"), stand.sent("93")) == (before + 1, 1)


def test_a_connection_that_stood_idle_for_long_is_not_used_again(stand):
    ref = stand.erika
    stand.world.pass_time(minutes=5)
    stand.system.account(ref)
    assert stand.sent("93") == 2


def test_a_connection_that_died_while_idle_costs_no_payment(stand):
    order = stand.order()
    stand.world.pass_time(seconds=30)
    stand.server.go_wrong(Fault.LOST, "99")
    assert isinstance(stand.system.settle(order), Applied)
    assert stand.sent("93") == 2


def test_message_35_ends_the_patron_s_session_where_the_dialect_wants_it():
    stand = Stand(dialect={"reads_without_pin": True, "end_session": True})
    order = stand.order()
    stand.server.go_wrong(Fault.LOST, "35")
    assert isinstance(stand.system.settle(order), Applied)
    assert stand.sent("35") == stand.sent("63") + 1


def test_when_all_connections_are_in_use_a_payment_is_not_sent():
    stand = Stand(connections=1)
    order = stand.order()
    taken: Any = stand.system._client._slots
    assert taken.acquire(timeout=0)
    stand.system._client._config = stand.config.model_copy(update={"deadline_seconds": 0.05})
    outcome = stand.system.settle(order)
    assert isinstance(outcome, NotApplied)
    assert "in use" in outcome.reason


# --- whatever a server says -----------------------------------------------------------------------


@settings(max_examples=120)
@given(st.binary(max_size=120), st.booleans(), st.integers(0, 200))
def test_no_bytes_but_a_whole_answer_ever_pass_for_a_payment(noise, as_prefix, cut):
    stand = Stand(dialect={"reads_without_pin": True, "end_session": False})
    order = stand.order()
    server_side = stand.server.open

    def open_and_disturb() -> Any:
        talk = server_side()
        say = talk._say

        def disturbed(raw: bytes) -> bytes:
            said = say(raw)
            if raw[:2] not in {b"37", b"97"}:
                return said
            return noise + said[: min(cut, len(said) - 2)] if as_prefix else noise

        talk._say = disturbed  # type: ignore[method-assign]  # a line that garbles everything
        return talk

    stand.system._client.close_idle()
    stand.server.open = open_and_disturb  # type: ignore[method-assign]  # as above
    outcome = stand.system.settle(order)
    assert isinstance(outcome, Unclear)
    assert stand.sent("37") == 1
    assert stand.credits() == [(1250, order.marker)]
