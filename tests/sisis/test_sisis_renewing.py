"""Renewing a card with a command of the library's own, and what each answer means."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from ils_payment_sisis import wire
from ils_payment_sisis.config import RenewCommand
from ils_payment_sisis.renewing import ERRORS
from ils_payment_sisis.simulator import Fault
from ils_payment_sisis.simulator.slnp import RENEW

from ils_payment.errors import RemoteError, RemoteGarbledError, RemoteUnavailableError
from ils_payment.model import NotApplied, Renewed, RenewOrder, Unclear
from tests.sisis.conftest import CARD, OWN_RENEWAL, Stand


def order(stand: Stand) -> RenewOrder:
    base = stand.system.card(stand.erika).valid_until
    assert base is not None
    return RenewOrder(patron=stand.erika, marker="ILSP-7K3M9Q-4", base=base, until=base + timedelta(days=365))


FAULTS = {
    Fault.LOST: (Unclear, "sisis_answer_lost", 1),
    Fault.NEVER_DONE: (Unclear, "sisis_answer_lost", 0),
    Fault.LATE: (Unclear, "sisis_answer_lost", 0),
    Fault.SILENT: (Unclear, "sisis_answer_lost", 1),
    Fault.CUT: (Unclear, "sisis_answer_lost", 1),
    Fault.GARBAGE: (Unclear, "sisis_answer_lost", 1),
    Fault.OTHER_COMMAND: (Unclear, "sisis_answer_lost", 1),
    Fault.BROKEN: (Unclear, "sisis_answer_lost", 0),
    Fault.REFUSED: (Unclear, "sisis_510_unknown_refusal", 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_certain_is_unclear(fault):
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    asked = order(stand)
    stand.town.go_wrong(fault, RENEW, seconds=60)
    outcome = stand.system.renew_card(asked)
    kind, reason, renewed = FAULTS[fault]
    assert isinstance(outcome, kind)
    assert outcome.reason == reason
    assert len(stand.town.renewals.get(CARD, [])) == renewed
    assert stand.sent(RENEW) == 1


def test_an_error_that_the_library_knows_to_be_a_refusal_is_one():
    stand = Stand(slnp={"renew": {**OWN_RENEWAL, "refused_errors": ["OpsNieGehoert"]}})
    asked = order(stand)
    stand.town.go_wrong(Fault.REFUSED, RENEW)
    outcome = stand.system.renew_card(asked)
    assert outcome == NotApplied(reason="sisis_510_refused", permanent=True)


def test_a_command_that_the_server_does_not_know_certainly_did_nothing():
    stand = Stand(slnp={"renew": {**OWN_RENEWAL, "command": "NieGehoert"}})
    outcome = stand.system.renew_card(order(stand))
    assert outcome == NotApplied(reason="sisis_520_not_understood", permanent=True)


def test_an_answer_without_what_is_expected_is_no_yes():
    stand = Stand(slnp={"renew": {**OWN_RENEWAL, "expect": {"Ergebnis": "Ja"}}})
    assert stand.system.renew_card(order(stand)) == Unclear(reason="sisis_renewal_not_confirmed")


def test_a_yes_without_a_new_end_of_the_card_is_no_renewal(monkeypatch):
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    monkeypatch.setattr(stand.town, "renew", lambda *_: None)  # a lie
    assert stand.system.renew_card(order(stand)) == Unclear(reason="sisis_renewal_not_seen")


def test_a_yes_after_which_the_card_cannot_be_read_is_unclear(monkeypatch):
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    asked, renew = order(stand), stand.town.renew

    def and_break(*given: Any) -> None:
        renew(*given)
        stand.town.go_wrong(Fault.CUT, "SLNPAlleBenutzerDaten")

    monkeypatch.setattr(stand.town, "renew", and_break)
    assert stand.system.renew_card(asked) == Unclear(reason="sisis_renewal_not_seen")


def test_a_server_that_is_away_certainly_renewed_nothing():
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    asked = order(stand)
    stand.world.streams = {}
    outcome = stand.system.renew_card(asked)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


def test_without_a_command_nothing_is_renewed():
    stand = Stand()
    asked = RenewOrder(patron=stand.erika, marker="", base=date(2027, 1, 1), until=date(2028, 1, 1))
    outcome = stand.system.renew_card(asked)
    assert outcome == NotApplied(reason="sisis_has_no_command_to_renew", permanent=True)


def test_the_places_in_the_parameters_are_filled():
    parameters = {"BenutzerNummer": "{card}", "Bis": "{until}", "Von": "{base}", "Vermerk": "online {marker}"}
    command = RenewCommand(command="Erfunden", parameters=parameters)
    filled = command.filled(card="4711", until="01.01.2028", base="01.01.2027", marker="{card}")
    assert filled == [
        ("BenutzerNummer", "4711"), ("Bis", "01.01.2028"), ("Von", "01.01.2027"), ("Vermerk", "online {card}")
    ]  # fmt: skip


ROWS: list[tuple[RemoteError, str, bool]] = [
    (wire.UnknownCommandError("x"), "sisis_520_not_understood", True),
    (wire.OpsError("OpsNein"), "sisis_510_refused", True),
    (wire.OpsError("OpsAnders"), "sisis_510_unknown_refusal", False),
    (RemoteUnavailableError("x"), "sisis_answer_lost", False),
    (RemoteGarbledError("x"), "sisis_answer_lost", False),
]


@pytest.mark.parametrize(("error", "reason", "never"), ROWS)
def test_every_row_of_the_table_says_what_it_says(error, reason, never):
    command = RenewCommand(
        command="Erfunden", parameters={"BenutzerNummer": "{card}"}, refused_errors=("OpsNein",)
    )
    row = next(row for row in ERRORS if row.fits(error, command))
    assert (row.reason, row.never) == (reason, never)
    assert {one.reason for one in ERRORS} == {reason for _, reason, _ in ROWS}


def test_a_renewal_that_is_confirmed_says_until_when():
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    assert stand.system.renew_card(order(stand)) == Renewed(valid_until=date(2028, 6, 8))


def test_a_card_that_the_desk_renewed_meanwhile_is_not_touched():
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    asked = order(stand)
    stand.town.renew(stand.town.books.patrons[CARD], None)
    assert isinstance(stand.system.renew_card(asked), NotApplied)
    assert stand.sent(RENEW) == 0


def test_the_same_order_again_renews_nothing():
    stand = Stand(slnp={"renew": OWN_RENEWAL})
    asked = order(stand)
    assert isinstance(stand.system.renew_card(asked), Renewed)
    assert isinstance(stand.system.renew_card(asked), NotApplied)
    assert len(stand.town.renewals[CARD]) == 1
