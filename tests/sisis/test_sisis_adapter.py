"""The adapter before a simulated SISIS: signing in, reading, paying, and what bad answers become."""

from __future__ import annotations

from datetime import date

import pytest
from ils_payment_sip2.simulator import Fault as TillFault
from ils_payment_sisis.simulator import Fault, Habits

from ils_payment.errors import (
    PinNeededError,
    RemoteAbsentError,
    RemoteError,
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
    Partial,
    PatronRef,
    Refused,
    RenewSupport,
    Unavailable,
    Unclear,
)
from tests.sisis.conftest import BY_NCIP, CARD, OWN_FEES, OWN_RENEWAL, PIN, Stand

BOTH = pytest.mark.parametrize("changes", [{}, BY_NCIP], ids=["slnp", "ncip"])
SELMA, OLE, MIA = "21234000012369", "21234000012376", "21234000012390"
CHECK, SHORT, RECORD = "SLNPOpacBenutzerPruefung", "SLNPBenutzerKurzKonto", "SLNPAlleBenutzerDaten"


# --- capabilities -----------------------------------------------------------------------------------


@BOTH
def test_only_what_sisis_can_is_declared(changes):
    can = Stand(**changes).system.capabilities()
    assert not can.handed_over
    assert (can.fee_ids, can.bound, can.batch, can.partial) == (False, Binding.LUMP, True, Partial.NONE)
    assert (can.marker, can.credit_list) == (MarkerSupport.WRITE_ONLY, False)
    assert (can.can_charge, can.can_lift, can.lists_expiring, can.titles) == (False,) * 4
    assert can.can_renew is RenewSupport.NO
    assert can.unattended_read == (changes == {})
    assert "canary" not in can.identity


def test_a_renewal_is_declared_where_the_library_names_a_command():
    given = Stand(slnp={"renew": OWN_RENEWAL}).system.capabilities()
    assert given.can_renew is RenewSupport.GIVEN_DATE
    rule = {**OWN_RENEWAL, "parameters": {"BenutzerNummer": "{card}"}}
    assert Stand(slnp={"renew": rule}).system.capabilities().can_renew is RenewSupport.BY_RULE


@BOTH
def test_what_is_absent_is_refused(changes):
    system = Stand(**changes).system
    with pytest.raises(RemoteRefusedError):
        system.find_credits(PatronRef("x"), "ILSP-7K3M9Q-4")
    with pytest.raises(RemoteRefusedError):
        system.recent_credits(PatronRef("x"), Stand().world.now())
    assert system.titles(()) == {}


# --- signing in -------------------------------------------------------------------------------------


@BOTH
def test_the_right_pin_signs_in_and_the_same_card_is_the_same_patron(changes):
    stand = Stand(**changes)
    ref = stand.system.sign_in(f" {CARD} ", PIN)
    assert ref == stand.erika
    assert CARD not in str(ref)
    assert stand.system.card(stand.erika).number == CARD


@BOTH
@pytest.mark.parametrize(
    ("card", "pin"), [(CARD, "0000"), ("", PIN), (CARD, ""), (CARD, "1\n2"), ("1\r2", PIN), (CARD, "\x00")]
)
def test_a_wrong_combination_is_refused(changes, card, pin):
    assert Stand(**changes).system.sign_in(card, pin) == Refused()


def test_a_pin_that_the_character_set_lacks_is_refused_and_not_sent():
    stand = Stand(habits=Habits(speaks="iso8859-1", greets_with="iso-8859-1"))
    assert stand.system.sign_in(CARD, "ж") == Refused()
    assert stand.sent(CHECK) == 0


@BOTH
def test_a_card_that_is_not_there_is_refused_only_where_the_library_names_the_error(changes):
    found = Stand(**changes).system.sign_in("999", PIN)
    assert isinstance(found, Unavailable)
    assert "OpsBenutzerErfundenUnbekannt" in found.reason
    named = Stand(**changes, absent_errors=["OpsBenutzerErfundenUnbekannt"])
    assert named.system.sign_in("999", PIN) == Refused()


@BOTH
def test_a_pin_that_has_to_be_changed_first_is_no_wrong_pin(changes):
    stand = Stand(**changes)
    stand.town.must_change_pin = CARD
    found = stand.system.sign_in(CARD, PIN)
    assert isinstance(found, Unavailable)
    assert "OpsBenutzerAutoPinChange" in found.reason


@BOTH
@pytest.mark.parametrize("card", [SELMA, OLE])
def test_who_is_blocked_or_expired_signs_in_like_any_other(changes, card):
    assert Stand(**changes).signed_in(card)


BROKEN = [Fault.LOST, Fault.CUT, Fault.GARBAGE, Fault.REFUSED, Fault.BROKEN, Fault.OTHER_PATRON]


@pytest.mark.parametrize("fault", [*BROKEN, Fault.SILENT, Fault.ENDLESS, Fault.OTHER_COMMAND])
@pytest.mark.parametrize("command", [CHECK, SHORT])
def test_a_bad_answer_of_slnp_signs_nobody_in(fault, command):
    stand = Stand()
    stand.town.go_wrong(fault, command)
    found = stand.system.sign_in(CARD, PIN)
    if (fault, command) == (Fault.OTHER_PATRON, CHECK):
        # The verdict on a PIN names nobody; on a connection of its own it can only be ours.
        assert found == stand.erika
        return
    assert isinstance(found, Unavailable)
    assert CARD not in found.reason
    assert PIN not in found.reason


@pytest.mark.parametrize("fault", [*BROKEN, Fault.BOMB])
@pytest.mark.parametrize("question", ["data", "fiscal", "blocks"])
def test_a_bad_answer_of_ncip_signs_nobody_in(fault, question):
    stand = Stand(**BY_NCIP)
    stand.town.go_wrong(fault, question)
    found = stand.system.sign_in(CARD, PIN)
    assert isinstance(found, Unavailable)
    assert CARD not in found.reason
    assert PIN not in found.reason


def test_where_sisis_names_no_number_one_card_is_one_patron_all_the_same():
    stand = Stand(habits=Habits(names_the_card=False))
    stand.town.books.add_patron("B77x", "1", "Bo", date(2027, 1, 1))
    assert (
        stand.system.sign_in("b77x", "1")
        == stand.system.sign_in("B77X", "1")
        == stand.system.find_patron("b77X")
    )


# --- reading ----------------------------------------------------------------------------------------


@BOTH
def test_account_and_card_say_what_is_in_the_books(changes):
    stand = Stand(**changes)
    account, card = stand.system.account(stand.erika), stand.system.card(stand.erika)
    assert (account.balance, [fee.cents for fee in account.fees]) == (1250, [1250])
    assert (card.valid_until, card.birth_date) == (date(2027, 6, 9), date(1985, 3, 12))
    assert card.blocks == ()
    mia = stand.signed_in(MIA)
    assert stand.system.account(mia).fees == ()


@BOTH
def test_blocks_and_an_end_that_is_over_are_shown(changes):
    stand = Stand(**changes)
    [block] = stand.system.card(stand.signed_in(SELMA)).blocks
    assert (block.kind, block.manual) == ("restriction", True)
    assert block.text.startswith("Zurückgegebenes Buch beschädigt")
    assert [one.kind for one in stand.system.card(stand.signed_in(OLE)).blocks] == ["expired"]


def test_the_groups_of_patrons_are_read_where_they_are_known():
    assert Stand().system.card(Stand().erika).category == ""
    stand = Stand(slnp={"category_key": "ErfundenGruppe"})
    assert stand.system.card(stand.erika).category == "ERW"
    stand = Stand(**BY_NCIP)
    assert stand.system.card(stand.erika).category == "ERW"


def test_an_open_credit_counts():
    stand = Stand()
    stand.town.till.habits.refuses_surplus = False
    stand.town.books.pay(CARD, 1500, at=stand.world.now())
    stand.town.books.add_fee(CARD, 100, "Neu", since=date(2026, 11, 1))
    account = stand.system.account(stand.erika)
    assert (account.balance, account.open_credit, account.fees) == (-150, 150, ())


def test_a_list_of_fees_by_a_command_of_the_librarys_own_is_shown():
    stand = Stand(slnp={"fees": OWN_FEES})
    [fee] = stand.system.account(stand.erika).fees
    assert fee.text.startswith("Säumnisgebühr 4,50 EUR (09.11.2026); Vormerkung 1,50 EUR")


def test_a_list_of_fees_that_fails_is_no_account():
    stand = Stand(slnp={"fees": OWN_FEES})
    stand.town.own_commands = False
    with pytest.raises(RemoteRefusedError, match="SlnpLookupError"):
        stand.system.account(stand.erika)


def test_without_the_whole_record_the_pin_is_never_told_and_the_end_is_unknown():
    stand = Stand(slnp={"record": False})
    card = stand.system.card(stand.signed_in(SELMA))
    assert (card.valid_until, len(card.blocks)) == (None, 1)
    assert stand.sent(RECORD) == 0


@pytest.mark.parametrize(
    "habits",
    [
        Habits(speaks="iso8859-1", greets_with="iso-8859-1"),
        Habits(speaks="cp850", greets_with="cp850"),
        Habits(speaks="iso8859-1", greets_with=""),
        Habits(ends_with="\n"),
    ],
)
def test_the_character_set_of_the_greeting_is_spoken(habits):
    stand = Stand(habits=habits, slnp={"fees": OWN_FEES})
    [fee] = stand.system.account(stand.erika).fees
    assert fee.text.startswith("Säumnisgebühr")


@pytest.mark.parametrize("changes", [{"slnp": {"fees": OWN_FEES}}, BY_NCIP])
def test_a_wrong_character_set_spoils_texts_and_never_amounts(changes):
    stand = Stand(habits=Habits(speaks="iso8859-1", greets_with="utf-8"), **changes)
    if "ncip" in changes:
        # XML that is not what it says it is has no certain meaning.
        assert isinstance(stand.system.sign_in(CARD, PIN), str | Unavailable)
        return
    account = stand.system.account(stand.erika)
    assert account.balance == 1250
    assert "S\N{REPLACEMENT CHARACTER}umnis" in account.fees[0].text


FAULTS = {
    Fault.LOST: RemoteUnavailableError,
    Fault.CUT: RemoteUnavailableError,
    Fault.SILENT: RemoteUnavailableError,
    Fault.ENDLESS: RemoteGarbledError,
    Fault.GARBAGE: RemoteGarbledError,
    Fault.OTHER_PATRON: RemoteGarbledError,
    Fault.OTHER_COMMAND: RemoteGarbledError,
    Fault.REFUSED: RemoteRefusedError,
    Fault.BROKEN: RemoteUnavailableError,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [SHORT, RECORD])
def test_a_bad_answer_is_classified_and_tells_nothing_personal(fault, command):
    stand = Stand()
    ref = stand.erika
    stand.town.go_wrong(fault, command)
    with pytest.raises(RemoteError) as error:
        (stand.system.account if command == SHORT else stand.system.card)(ref)
    assert isinstance(error.value, FAULTS[fault])
    assert "2123" not in str(error.value)
    assert stand.system.account(ref).balance == 1250


def test_a_patron_who_is_gone_is_absent_where_the_library_names_the_error():
    stand = Stand(absent_errors=["OpsBenutzerErfundenUnbekannt"])
    ref = stand.erika
    del stand.town.books.patrons[CARD]
    with pytest.raises(RemoteAbsentError):
        stand.system.account(ref)
    assert stand.system.find_patron(CARD) is None


def test_a_reference_of_another_key_is_nobodys():
    with pytest.raises(RemoteAbsentError):
        Stand().system.account(PatronRef("21234000012345"))


@pytest.mark.parametrize("login", ["opac", "staff"])
def test_a_connection_begins_as_the_site_wants_it(login):
    words = {"user": "kasse", "database": "SISIS", "branch": "1", "password": {"env": "TEST_SISIS_PASSWORD"}}
    stand = Stand(login=login, slnp={"login": login, **words})
    assert stand.system.account(stand.erika).balance == 1250
    other = Stand(login=login)
    assert isinstance(other.system.sign_in(CARD, PIN), Unavailable)


def test_through_ncip_what_was_read_is_shown_for_minutes_and_no_longer():
    stand = Stand(**BY_NCIP)
    ref = stand.erika
    asked = stand.sent("fiscal")
    stand.system.account(ref)
    assert stand.sent("fiscal") == asked == 1
    stand.world.pass_time(minutes=11)
    for question in (stand.system.account, stand.system.card):
        with pytest.raises(PinNeededError):
            question(ref)
    with pytest.raises(PinNeededError):
        stand.system.find_patron(CARD)


# --- paying -----------------------------------------------------------------------------------------


@BOTH
def test_the_whole_balance_is_paid_with_one_message(changes):
    stand = Stand(**changes)
    assert stand.system.settle(stand.order()) == Applied(
        remote_ref="ILSP-7K3M9Q-4", applied=1250, unapplied=0
    )
    assert stand.credits() == [(1250, "ILSP-7K3M9Q-4")]
    assert stand.sent("37") == 1


def test_after_a_payment_what_was_read_with_the_pin_is_forgotten():
    stand = Stand(**BY_NCIP)
    ref = stand.erika
    stand.system.settle(stand.order(patron=ref))
    with pytest.raises(PinNeededError):
        stand.system.account(ref)


OUTCOMES = {
    TillFault.LOST: (Unclear, 1),
    TillFault.CUT: (Unclear, 1),
    TillFault.SILENT: (Unclear, 1),
    TillFault.DAMAGED: (Applied, 1),
    TillFault.DAMAGED_FOR_EVER: (Unclear, 1),
    TillFault.WRONG_SEQUENCE: (Unclear, 1),
    TillFault.OTHER_PATRON: (Unclear, 1),
    TillFault.OTHER_CODE: (Unclear, 1),
    TillFault.NEITHER: (Unclear, 1),
    TillFault.NEVER_DONE: (Unclear, 0),
    TillFault.LATE: (Unclear, 0),
    TillFault.REFUSED: (NotApplied, 0),
}


@BOTH
@pytest.mark.parametrize("fault", OUTCOMES)
def test_each_answer_to_a_payment_means_what_it_means_for_sip2(changes, fault):
    stand = Stand(**changes)
    order = stand.order()
    stand.town.till.go_wrong(fault, seconds=60)
    outcome = stand.system.settle(order)
    kind, booked = OUTCOMES[fault]
    assert isinstance(outcome, kind)
    assert len(stand.credits()) == booked
    assert stand.sent("37") == 1
    assert CARD not in repr(outcome)
    stand.world.pass_time(minutes=2)
    assert len(stand.credits()) == booked + (fault is TillFault.LATE)


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "CHF"},
        {"marker": "x"},
        {"lines": ()},
        {"lines": (OrderLine(ref="7", claim_key="7", cents=1250, kind="x"),)},
        {"lines": (OrderLine(ref=None, claim_key="account", cents=1, kind="account"),)},
        {"patron": PatronRef("nobody")},
    ],
)
def test_an_order_that_cannot_be_right_is_not_sent(stand, changes):
    outcome = stand.system.settle(stand.order(**changes))
    assert isinstance(outcome, NotApplied)
    assert outcome.permanent
    assert stand.sent("37") == 0
