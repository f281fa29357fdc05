"""A card that is renewed: the change of the expiry, its table of outcomes, and the fee that belongs to it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from ils_payment_koha import renewing, settling
from ils_payment_koha.answers import Answer
from ils_payment_koha.config import KohaConfig
from ils_payment_koha.simulator.koha import RENEWAL
from pydantic import SecretStr, ValidationError

from ils_payment.model import (
    Applied,
    ChargeOrder,
    ChargePurpose,
    CreditOrder,
    NotApplied,
    OrderLine,
    PatronRef,
    Renewed,
    RenewOrder,
    RenewSupport,
    Unclear,
)
from ils_payment.ports import Renewing
from tests.koha.koha_in_process import books

MARKER = "ILSP-7K3M9Q-4"
LATER = timedelta(days=365)


@pytest.fixture
def expired(koha):
    """The patron of the demo whose card ended 40 days ago."""
    return PatronRef(str(koha.patron_ids["expired"]))


@pytest.fixture
def adapter(koha, connect):
    return connect(koha, renew=True)


def until_of(adapter, patron):
    return adapter.card(patron).valid_until


def order(adapter, patron, **changes: Any) -> RenewOrder:
    """The order to renew the patron's card by a year from what it says now."""
    base = until_of(adapter, patron)
    fields: dict[str, Any] = {"patron": patron, "marker": MARKER, "base": base, "until": base + LATER}
    return RenewOrder(**(fields | changes))


def changes_of(koha, patron):
    """Every new expiry in Koha's books, as (by whom, from, to)."""
    return [(one["by"], one["from"], one["to"]) for one in books(koha, patron)["expiry_changes"]]


# --- the journey --------------------------------------------------------------------------------


def test_renewing_is_declared_only_where_the_library_chose_it(connect, koha):
    assert connect(koha).capabilities().can_renew is RenewSupport.NO
    renewing_koha = connect(koha, renew=True)
    assert renewing_koha.capabilities().can_renew is RenewSupport.GIVEN_DATE
    assert isinstance(renewing_koha, Renewing)


def test_an_expired_card_gets_the_new_expiry_and_is_no_longer_blocked(adapter, koha, world, expired):
    asked = order(adapter, expired)
    assert [block.kind for block in adapter.card(expired).blocks] == ["expired"]
    assert adapter.renew_card(asked) == Renewed(valid_until=asked.until)
    card = adapter.card(expired)
    assert (card.valid_until, card.blocks) == (asked.until, ())
    assert changes_of(koha, expired) == [("api", str(asked.base), str(asked.until))]
    assert world.failpoints == ["koha.renew.before", "koha.renew.after"]


def test_nothing_but_the_expiry_changes_and_nothing_is_charged(adapter, koha, expired):
    before, account = dict(koha.tables.patrons[int(expired)].record), adapter.account(expired)
    asked = order(adapter, expired)
    adapter.renew_card(asked)
    after = koha.tables.patrons[int(expired)].record
    assert {name for name in after if after[name] != before[name]} <= {"expiry_date", "updated_on"}
    assert after["date_renewed"] is None
    assert adapter.account(expired).fees == account.fees


def test_as_few_fields_as_koha_takes_are_sent_so_that_a_parallel_change_stays(connect, koha, world, expired):
    adapter = connect(koha, renew=True)
    asked = order(adapter, expired)

    def clerk_changes_the_phone(name):
        if name == "koha.renew.before":
            koha.change(int(expired), phone="0999")

    world.failpoint = clerk_changes_the_phone
    assert isinstance(adapter.renew_card(asked), Renewed)
    assert koha.tables.patrons[int(expired)].record["phone"] == "0999"


def test_what_goes_over_the_wire_is_four_fields(canned, connect):
    patron = {
        "patron_id": 7,
        "expiry_date": "2026-08-21",
        "surname": "Ö",
        "library_id": "L",
        "category_id": "C",
    }
    remote = canned(200, json.dumps(patron | {"phone": "1", "restricted": False, "cardnumber": "4"}).encode())
    adapter = connect(remote, renew=True)
    adapter.renew_card(order(adapter, PatronRef("7")))
    (put,) = [request for request in remote.seen if request.method == "PUT"]
    sent = {"surname": "Ö", "library_id": "L", "category_id": "C", "expiry_date": "2027-08-21"}
    assert (put.path.endswith("/api/v1/patrons/7"), json.loads(put.body)) == (True, sent)
    assert MARKER not in put.path + put.query


def test_the_day_of_koha_s_own_renewal_shows_that_a_desk_was_faster(adapter, koha, expired):
    assert adapter.card(expired).renewed_on is None
    adapter.renew_card(order(adapter, expired))
    assert adapter.card(expired).renewed_on is None, "a new expiry from here is no renewal of Koha's own"
    koha.renew_account(int(expired))
    assert adapter.card(expired).renewed_on is not None


# --- a card that changed meanwhile --------------------------------------------------------------


def test_a_card_that_the_desk_renewed_meanwhile_is_not_touched(adapter, koha, expired):
    asked = order(adapter, expired)
    koha.renew_account(int(expired))
    desk = until_of(adapter, expired)
    assert adapter.renew_card(asked) == NotApplied(reason="koha_expiry_changed_meanwhile")
    assert until_of(adapter, expired) == desk
    assert RENEWAL not in koha.truth()["requests"]


def test_an_order_that_was_carried_out_before_is_not_carried_out_again(adapter, koha, expired):
    asked = order(adapter, expired)
    adapter.renew_card(asked)
    assert adapter.renew_card(asked) == NotApplied(reason="koha_expiry_changed_meanwhile")
    assert len(changes_of(koha, expired)) == 1


def test_a_clerk_between_read_and_write_is_overwritten_and_can_be_seen_afterwards(
    connect, koha, world, expired
):
    """The limit that docs/koha.md tells of: Koha has no call that compares before it writes."""
    adapter = connect(koha, renew=True)
    asked = order(adapter, expired)

    def clerk_renews(name):
        if name == "koha.renew.before":
            koha.renew_account(int(expired))

    world.failpoint = clerk_renews
    assert adapter.renew_card(asked) == Renewed(valid_until=asked.until)
    assert [by for by, _, _ in changes_of(koha, expired)] == ["desk", "api"]
    assert adapter.card(expired).renewed_on is not None


@pytest.mark.parametrize("field", ["surname", "library_id", "category_id"])
def test_a_patron_whom_koha_withholds_is_not_stored_with_nulls(adapter, koha, expired, field):
    asked = order(adapter, expired)
    koha.change(int(expired), **{field: None})
    assert adapter.renew_card(asked) == NotApplied(reason="koha_patron_withheld", permanent=True)
    assert RENEWAL not in koha.truth()["requests"]


def test_a_patron_who_is_gone_is_certainly_not_renewed(adapter):
    asked = RenewOrder(
        patron=PatronRef("99999"), marker=MARKER, base=date(2026, 1, 1), until=date(2027, 1, 1)
    )
    assert adapter.renew_card(asked) == NotApplied(reason="koha_404_patron_missing", permanent=True)


def test_another_patron_in_the_answer_is_not_written_back(canned, connect):
    patron = {
        "patron_id": 8,
        "expiry_date": "2026-08-21",
        "surname": "Ö",
        "library_id": "L",
        "category_id": "C",
    }
    adapter = connect(canned(200, json.dumps(patron).encode()), renew=True)
    assert adapter.renew_card(order(adapter, PatronRef("7"))) == NotApplied(reason="koha_patron_unreadable")


# --- when something goes wrong ------------------------------------------------------------------


def test_an_error_after_the_effect_is_unclear_and_nothing_is_sent_again(adapter, koha, expired):
    asked = order(adapter, expired)
    koha.fail_next(status=500, operation=RENEWAL, after_effect=True)
    assert adapter.renew_card(asked) == Unclear(reason="koha_500")
    assert koha.truth()["requests"][RENEWAL] == 1
    assert until_of(adapter, expired) == asked.until


def test_a_lost_answer_is_unclear_whether_or_not_the_expiry_was_written(adapter, koha, expired):
    asked = order(adapter, expired)
    koha.fail_next(status=0, operation=RENEWAL)
    outcome = adapter.renew_card(asked)
    assert isinstance(outcome, Unclear)
    assert outcome.reason.startswith("koha_answer_lost")
    assert until_of(adapter, expired) == asked.base
    koha.lose_answer(operation=RENEWAL)
    assert isinstance(adapter.renew_card(asked), Unclear)
    assert until_of(adapter, expired) == asked.until


def test_an_expiry_that_is_written_late_appears_late_and_undoes_the_desk(koha, connect, world, expired):
    """Why the core waits out what may come late before it says that a card was not renewed."""
    now = koha.world.now

    class Shifted:
        def now(self):
            return now() + timedelta(seconds=world.shift)

        def pause(self, name, seconds):
            return None

    koha.world = Shifted()
    adapter = connect(koha, renew=True)
    asked = order(adapter, expired)
    koha.apply_late(0.2, status=504, operation=RENEWAL)
    assert adapter.renew_card(asked) == Unclear(reason="koha_504")
    koha.renew_account(int(expired))
    world.shift += 60
    assert until_of(adapter, expired) == asked.until
    assert [by for by, _, _ in changes_of(koha, expired)] == ["desk", "api"]


def test_a_koha_that_does_not_answer_the_question_was_not_told_anything(adapter, koha, expired):
    asked = order(adapter, expired)
    koha.fail_next(status=503, operation="patrons.get")
    outcome = adapter.renew_card(asked)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent
    assert outcome.reason.startswith("koha_patron_not_read")


def test_a_koha_that_is_down_got_nothing(connect):
    asked = RenewOrder(patron=PatronRef("3"), marker=MARKER, base=date(2026, 1, 1), until=date(2027, 1, 1))
    outcome = connect("http://127.0.0.1:1", renew=True).renew_card(asked)
    assert isinstance(outcome, NotApplied)
    assert not outcome.permanent


def test_after_its_time_nothing_is_sent(adapter, koha, world, expired):
    asked = order(adapter, expired, send_before=world.now() - timedelta(seconds=1))
    assert adapter.renew_card(asked) == NotApplied(reason="koha_not_sent_in_time")
    assert RENEWAL not in koha.truth()["requests"]


def test_without_the_whole_right_borrowers_nothing_is_written(adapter, koha, expired):
    asked = order(adapter, expired)
    koha.set_rights(2, ("borrowers:edit_borrowers", "updatecharges:remaining_permissions"))
    assert adapter.renew_card(asked) == NotApplied(reason="koha_403_right_missing")
    assert until_of(adapter, expired) == asked.base


def test_a_token_that_koha_dropped_between_the_calls_is_not_asked_again(adapter, koha, world, expired):
    asked = order(adapter, expired)

    def token_dies(name):
        if name == "koha.renew.before":
            koha.tables.tokens.clear()

    world.failpoint = token_dies
    assert adapter.renew_card(asked) == NotApplied(reason="koha_401_not_authenticated")
    del world.failpoint
    assert isinstance(adapter.renew_card(asked), Renewed)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patron": "0"}, "order_patron_is_no_koha_id"),
        ({"patron": "3/account"}, "order_patron_is_no_koha_id"),
        ({"until": None}, "order_until_missing"),
        ({"base": None}, "order_card_never_expires"),
        ({"until": date(2026, 8, 21)}, "order_until_is_not_later"),
        ({"until": date(2026, 8, 20)}, "order_until_is_not_later"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_not_sent(adapter, koha, changes, reason):
    fields = {"patron": "3", "marker": MARKER, "base": date(2026, 8, 21), "until": date(2027, 8, 21)}
    assert adapter.renew_card(RenewOrder(**(fields | changes))) == NotApplied(reason=reason, permanent=True)
    assert not koha.truth()["requests"]


# --- the table of outcomes ----------------------------------------------------------------------

ORDER = RenewOrder(patron=PatronRef("5"), marker=MARKER, base=date(2026, 8, 21), until=date(2027, 11, 21))
SPOKEN = {"errors": [{"message": "Does not match date format.", "path": "/body/expiry_date"}], "status": 400}


@pytest.mark.parametrize(
    ("status", "body", "reason", "verdict"),
    [
        (204, None, "koha_204_without_expiry", "unclear"),
        (400, SPOKEN, "koha_400_request_invalid", "never"),
        (400, [{"message": "x", "path": "/q"}], "koha_400_request_invalid", "never"),
        (400, {"error": "Given library_id does not exist"}, "koha_400_library_or_category_unknown", "never"),
        (400, {"error": "Given category_id does not exist"}, "koha_400_library_or_category_unknown", "never"),
        (400, {"error": "Problem with bernd"}, "koha_400_not_from_validation", "unclear"),
        (400, None, "koha_400_not_from_validation", "unclear"),
        (401, {"error": "x"}, "koha_401_not_authenticated", "later"),
        (403, {"error": "x", "required_permissions": {"borrowers": "1"}}, "koha_403_right_missing", "later"),
        (403, None, "koha_answer_not_classified", "unclear"),
        (404, {"error": "Patron not found"}, "koha_404_patron_missing", "never"),
        (404, {"error": "Patron not found", "error_code": "not_found"}, "koha_404_patron_missing", "never"),
        (404, SPOKEN, "koha_404_path_unknown", "later"),
        (404, None, "koha_answer_not_classified", "unclear"),
        (409, {"error": "Duplicate ID", "conflict": "cardnumber"}, "koha_409_conflict", "never"),
        (409, None, "koha_answer_not_classified", "unclear"),
        (413, None, "koha_413_refused_by_web_server", "later"),
        (429, None, "koha_429_too_many_requests", "later"),
        (500, {"error": "x", "error_code": "internal_server_error"}, "koha_500", "unclear"),
        (502, None, "koha_502", "unclear"),
        (503, None, "koha_503", "unclear"),
        (504, None, "koha_504", "unclear"),
        (201, {"patron_id": 5, "expiry_date": "2027-11-21"}, "koha_answer_not_classified", "unclear"),
        (302, None, "koha_answer_not_classified", "unclear"),
        (200, None, "koha_200_unreadable", "unclear"),
        (200, [], "koha_200_unreadable", "unclear"),
        (200, {"patron_id": 6, "expiry_date": "2027-11-21"}, "koha_200_other_patron", "unclear"),
        (200, {"expiry_date": "2027-11-21"}, "koha_200_other_patron", "unclear"),
        (200, {"patron_id": 5, "expiry_date": "2026-08-21"}, "koha_200_other_expiry", "unclear"),
        (200, {"patron_id": 5, "expiry_date": None}, "koha_200_other_expiry", "unclear"),
    ],
)
def test_each_row_says_what_its_answer_means(status, body, reason, verdict):
    expected = {
        "never": NotApplied(reason=reason, permanent=True),
        "later": NotApplied(reason=reason),
        "unclear": Unclear(reason=reason),
    }
    assert renewing.renew_outcome(Answer(status, body), ORDER) == expected[verdict]


def test_only_a_patron_with_exactly_the_expiry_of_the_order_is_renewed():
    answer = Answer(200, {"patron_id": 5, "expiry_date": "2027-11-21", "surname": "x"})
    assert renewing.renew_outcome(answer, ORDER) == Renewed(valid_until=date(2027, 11, 21))


def test_what_koha_may_have_stored_before_it_answered_is_never_certain():
    for row in renewing.OUTCOMES:
        if row.status is None or row.status < 300 or row.status >= 500:
            assert row.verdict in {settling.Verdict.UNCLEAR, settling.Verdict.BY_EXPIRY}, row


# --- the fee of a renewed card ------------------------------------------------------------------


def fee_order(patron, **changes: Any) -> ChargeOrder:
    fields: dict[str, Any] = {
        "patron": patron,
        "marker": "ILSP-7K3M9R-5",
        "cents": 1500,
        "currency": "EUR",
        "kind": "card-renewal",
        "settled_with": MARKER,
        "purpose": ChargePurpose.RENEWAL,
    }
    return ChargeOrder(**(fields | changes))


def test_the_fee_of_a_renewed_card_is_charged_as_koha_would_and_can_be_settled(adapter, koha, expired):
    charged = adapter.charge(fee_order(expired))
    assert isinstance(charged, Applied)
    (fee,) = [fee for fee in adapter.account(expired).fees if fee.ref == charged.remote_ref]
    text = f"Verlängerung des Ausweises, bezahlt mit Beleg {MARKER}"
    assert (fee.kind, fee.cents, fee.text) == ("ACCOUNT_RENEW", 1500, text)
    line = OrderLine(ref=fee.ref, claim_key=fee.claim_key, cents=1500, kind=fee.kind)
    credit = CreditOrder(
        patron=expired, marker=MARKER, cents=1500, currency="EUR", method="card", lines=(line,)
    )
    settled = adapter.settle(credit)
    assert isinstance(settled, Applied)
    assert (settled.applied, settled.unapplied) == (1500, 0)
    assert [one.cents for one in adapter.find_charges(expired, "ILSP-7K3M9R-5")] == [1500]


def test_type_and_text_of_the_renewal_fee_are_the_librarys_to_choose(connect, koha, expired):
    adapter = connect(
        koha,
        renewal_charge_type="MANUAL",
        renewal_charge_description="Jahresgebühr {marker}",
        charge_type="NEW_CARD",
        charge_types={"card-renewal": "LOST"},
    )
    renewed, owed_again = (
        adapter.charge(fee_order(expired, purpose=purpose))
        for purpose in (ChargePurpose.RENEWAL, ChargePurpose.REFUND)
    )
    kinds = {fee.ref: (fee.kind, fee.text) for fee in adapter.account(expired).fees}
    assert kinds[renewed.remote_ref] == ("MANUAL", "Jahresgebühr ILSP-7K3M9R-5")
    assert kinds[owed_again.remote_ref][0] == "LOST"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("renewal_charge_type", "OVERDUE", "renewed card"),
        ("renewal_charge_type", " ", "renewed card"),
        ("renewal_charge_type", "", "renewal_charge_type"),
        ("renewal_charge_description", "{method}", "settled_with"),
        ("renewal_charge_description", "{", "settled_with"),
    ],
)
def test_a_renewal_fee_that_could_not_be_charged_is_refused_at_the_start(field, value, message):
    base = {"url": "https://k.example/api/v1", "client_id": "a", "client_secret": SecretStr("b")}
    with pytest.raises(ValidationError, match=message):
        KohaConfig(**base, **{field: value})
