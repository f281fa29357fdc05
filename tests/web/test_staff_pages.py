"""What staff see and decide: every page for every role, and nobody what is not theirs."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from ils_payment.domain.roles import Role
from ils_payment.flows import factors, show
from ils_payment.model import State
from ils_payment.store import cases, inbox, journal, payments, staff
from ils_payment.store.tables import private_payments
from tests.conftest import Town
from tests.flows.decisions import books, kinds, took
from tests.web.conftest import prepared
from tests.web.doors import CARD, csrf_of
from tests.web.staff_doors import CHEAP, StaffDoors

REASON = "The desk has told us so; Müller"


class Office(StaffDoors):
    """Staff pages over a ledger with a settled payment and one that waits for a person."""

    def __init__(self, town):
        super().__init__(town)
        self.settled = self.paid(method="card", only=1)
        self.held, self.case = self.with_case()
        self.browsers: dict[str, TestClient] = {}

    def paid(self, **options):
        payment = self.town.started(**options)
        self.town.stripe.pay(self.town.session_of(payment), "card")
        self.house.make_due(payment)
        self.town.run()
        return payment

    def pays_again(self, payment_id):
        """The provider says that the page of a settled payment was paid once more."""
        took(self.town, payment_id, 2 * self.town.view(payment_id).cents)

    def with_case(self):
        """A payment whose fee was paid at the desk meanwhile."""
        payment = self.town.started(only=1)
        cents = self.town.view(payment).cents
        fees = self.town.koha_account()["fees"]
        ref = next(ref for ref, fee in fees.items() if fee["outstanding"] == cents)
        self.town.koha.pay_at_desk(int(self.town.erika), int(ref), cents)
        self.town.stripe.pay(self.town.session_of(payment), "card")
        self.house.make_due(payment)
        self.town.run()
        assert self.town.view(payment).held
        with self.house.store.read() as unit:
            (case,) = inbox.case_ids_of(unit, payment)
        return payment, case

    def decide(self, browser, choice="booked_by_hand", *, version=1, case=None, **form):
        return self.send(
            browser,
            f"/staff/cases/{case or self.case}",
            f"/staff/cases/{case or self.case}/decide",
            choice=choice,
            version=str(version),
            **{"reason": REASON, "reference": "Kasse 17", **form},
        )

    def ask_refund(self, browser, payment=None, **form):
        page = browser.get(f"/staff/payments/{payment or self.settled}").text
        lines = re.findall(r'name="lines" value="([^"]+)"', page)
        return browser.post(
            f"/staff/payments/{payment or self.settled}/refund",
            data={"csrf": csrf_of(page), "reason": REASON, "meaning": "fee_dropped", "lines": lines, **form},
        )


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(factors, "_HASHER", CHEAP)


@pytest.fixture
def office(tmp_path, arrival_settings):
    town = Town(f"sqlite:///{tmp_path}/ledger.db", arrival=arrival_settings)
    yield Office(town)
    town.close()


@pytest.fixture
def each_office(database_url, arrival_settings):
    town = Town(database_url, arrival=arrival_settings)
    yield Office(town)
    town.close()


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """An office for tests that only look, with a browser of each role."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "_HASHER", CHEAP)
        town = Town(f"sqlite:///{tmp_path_factory.mktemp('office')}/ledger.db", arrival=prepared(patch))
        office = Office(town)
        office.browsers = {str(role): office.staff_browser(str(role))[0] for role in Role}
        office.browsers["stranger"], _ = office.staff_browser("treasurer", "seehausen", login="stranger")
        yield office
        town.close()


# --- who sees what -----------------------------------------------------------------------------

PAGES = {
    "/staff/": "ctah",
    "/staff/cases": "cta",
    "/staff/cases?which=closed": "cta",
    "/staff/cases?which=waiting&kind=fees_differ&library=lindental": "cta",
    "/staff/cases/{case}": "cta",
    "/staff/payments": "ctah",
    "/staff/payments?state=settled&library=seehausen": "ctah",
    "/staff/payments/{held}": "ctah",
    "/staff/payments/{settled}": "ctah",
    "/staff/refunds": "cta",
    "/staff/journal": "a",
    "/staff/journal?what=staff_signed_in&before=3": "a",
    "/staff/system": "ah",
}
LETTERS = {"clerk": "c", "treasurer": "t", "auditor": "a", "technician": "h"}


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("role", LETTERS)
@pytest.mark.parametrize("page", PAGES)
def test_each_role_sees_its_pages_and_no_others(reading, page, role, language):
    address = page.format(case=reading.case, held=reading.held, settled=reading.settled)
    answer = reading.browsers[role].get(address, params=None, headers={"accept-language": language})
    assert answer.status_code == (200 if LETTERS[role] in PAGES[page] else 403)
    assert answer.headers["cache-control"] == "no-store"
    assert "Traceback" not in answer.text
    assert 'action="/staff/logout"' in answer.text


DOINGS = {
    "/staff/cases/{case}/decide": "ct",
    "/staff/payments/{settled}/refund": "ct",
    "/staff/find/number": "ctah",
    "/staff/find/card": "cta",
    "/staff/refunds/{case}/approve": "t",
    "/staff/refunds/{case}/reject": "ct",
}


@pytest.mark.parametrize("role", LETTERS)
@pytest.mark.parametrize("action", DOINGS)
def test_each_role_may_send_its_forms_and_no_others(reading, action, role):
    browser = reading.browsers[role]
    address = action.format(case=reading.case, settled=reading.settled)
    answer = browser.post(address, data={"csrf": csrf_of(browser.get("/staff/").text), "version": "1"})
    assert (answer.status_code == 403) is (LETTERS[role] not in DOINGS[action])


@pytest.mark.parametrize("address", [*PAGES, *DOINGS])
def test_nobody_who_is_not_signed_in_sees_or_does_anything(reading, address):
    path = address.format(case=reading.case, held=reading.held, settled=reading.settled)
    browser = reading.browser()
    answer = browser.post(path, data={}) if address in DOINGS else browser.get(path)
    assert answer.status_code == (403 if address in DOINGS else 303)


@pytest.mark.parametrize("address", ["/staff/cases/{case}", "/staff/payments/{held}"])
def test_an_account_of_another_library_finds_no_such_page(reading, address):
    path = address.format(case=reading.case, held=reading.held)
    assert reading.browsers["stranger"].get(path).status_code == 404
    for wrong in ("A" * 26, "x"):
        assert reading.browsers["clerk"].get(f"{address.partition('{')[0]}{wrong}").status_code == 404


def test_an_account_of_another_library_finds_nothing_in_lists_and_searches(reading):
    stranger = reading.browsers["stranger"]
    number = reading.town.view(reading.held).number
    assert reading.case not in stranger.get("/staff/cases").text
    assert reading.held not in stranger.get("/staff/payments").text
    csrf = csrf_of(stranger.get("/staff/").text)
    assert stranger.post("/staff/find/number", data={"csrf": csrf, "number": number}).status_code == 404
    form = {"csrf": csrf, "card": CARD, "library": "lindental"}
    assert stranger.post("/staff/find/card", data=form).status_code == 422
    decided = stranger.post(
        f"/staff/cases/{reading.case}/decide",
        data={"csrf": csrf, "version": "1", "choice": "no_action", "reason": "x"},
    )
    assert decided.status_code == 404


def test_a_stored_name_of_a_fee_is_shown_once_and_with_it_where_the_fee_is_booked(office):
    """The payment of a German patron keeps the German name, and the page is read in English."""
    line = next(one for one in office.town.view(office.settled).lines if one.kind == "OVERDUE")
    with office.house.store.unit() as unit:
        found = payments.load(unit, office.settled)
        assert found is not None
        stored = json.dumps(dict.fromkeys([one.id for one in found.lines], line.label["de"]))
        unit.connection.execute(
            update(private_payments)
            .where(private_payments.c.payment_id == office.settled)
            .values(lines=stored)
        )
    browser, _ = office.staff_browser("clerk")
    told = browser.get(f"/staff/payments/{office.settled}?lang=en").text
    assert line.label["en"] in told
    assert line.label["de"] not in told
    assert "Cost centre 4711 · Booking account 331100 · Tax code A1" in told


def private_of(office):
    """What belongs to the patron: the card number, and names and texts of the paid fees."""
    lines = [line for one in (office.held, office.settled) for line in office.town.view(one).lines]
    texts = {line.text for line in lines} | {text for line in lines for text in (line.label or {}).values()}
    assert len(texts) > 1
    return [CARD, *(text for text in texts if text)]


def test_what_a_clerk_wrote_and_what_the_card_said_is_not_for_technicians(office):
    clerk, _ = office.staff_browser("clerk")
    technician, _ = office.staff_browser("technician")
    office.decide(clerk, reference="Kasse 17, Erika")
    with office.house.store.unit() as unit:
        held = payments.load(unit, office.held)
        assert held is not None
        said = {"base": "2027-01-31", "until": "2028-01-31", "valid_until": "2027-02-28"}
        payments.record(unit, held, "renewed_elsewhere", {**said, "reason": "moved away", "found": "K-9"})
    private = ("Kasse 17", "2027-01-31", "2028-01-31", "2027-02-28", "moved away", "K-9")
    page = f"/staff/payments/{office.held}"
    assert [word for word in private if word in clerk.get(page).text] == list(private)
    assert [word for word in private if word in technician.get(page).text] == []


@pytest.mark.parametrize("page", [page for page in PAGES if "h" in PAGES[page]])
def test_a_technician_sees_no_patron_data(reading, page):
    address = page.format(case=reading.case, held=reading.held, settled=reading.settled)
    told = reading.browsers["technician"].get(address).text
    for private in private_of(reading):
        assert private not in told, private
    assert not re.search("Balance|Kontostand", told)
    paid = [
        reading.browsers["clerk"].get(f"/staff/payments/{one}").text
        for one in (reading.held, reading.settled)
    ]
    assert all(CARD in page for page in paid)
    assert all(line.text in paid[0] for line in reading.town.view(reading.held).lines)


# --- one case ----------------------------------------------------------------------------------


def test_a_case_tells_who_how_much_and_what_each_side_says(reading):
    page = reading.browsers["clerk"].get(f"/staff/cases/{reading.case}?lang=de").text
    view = reading.town.view(reading.held)
    for said in (
        CARD,
        view.number,
        "Bezahlt, aber eine Gebühr wurde inzwischen geändert",
        "Der Zahlungsdienst meldet: bezahlt",
        "Im Konto steht keine Buchung mit unserer Nummer.",
        "Dort nicht mehr offen",
        reading.town.session_of(reading.held),
        "Es wurde von Hand verbucht",
    ):
        assert said in page, said
    assert view.number in reading.browsers["clerk"].get("/staff/cases").text


def test_a_look_at_patron_data_is_written_down_without_any(reading):
    with reading.house.store.read() as unit:
        (row, *_) = journal.newest(unit, what="case_viewed")
        chain = journal.broken_at(unit)
    assert row["facts"] == {"case": reading.case, "payment": reading.held}
    assert row["library"] == "lindental"
    assert chain is None
    for private in private_of(reading):
        assert private not in str(reading.journal())


def test_a_library_system_that_is_away_keeps_nobody_from_reading_the_case(office, monkeypatch):
    browser, _ = office.staff_browser()
    office.world.remotes.pop("koha.test")
    page = browser.get(f"/staff/cases/{office.case}?lang=de")
    assert page.status_code == 200
    assert "Es antwortet gerade nicht" in page.text
    answer = office.send(browser, "/staff/", "/staff/find/card", card=CARD, library="lindental")
    assert answer.status_code == 503


# --- searching ---------------------------------------------------------------------------------


def test_a_payment_is_found_by_its_number_as_it_is_read_out(reading):
    number = reading.town.view(reading.held).number
    answer = reading.send(
        reading.browsers["technician"], "/staff/", "/staff/find/number", number=f" {number.lower()} "
    )
    assert answer.headers["location"] == f"/staff/payments/{reading.held}"
    assert (
        reading.send(
            reading.browsers["clerk"], "/staff/", "/staff/find/number", number="ILSP-000000-0"
        ).status_code
        == 404
    )


def test_the_payments_of_a_card_are_found_and_the_number_is_kept_nowhere(reading):
    answer = reading.send(
        reading.browsers["clerk"], "/staff/", "/staff/find/card", card=f" {CARD} ", library="lindental"
    )
    assert answer.status_code == 200
    assert reading.held in answer.text
    assert reading.settled in answer.text
    assert CARD not in reading.everything_stored()
    assert reading.journal("card_searched")[-1]["facts"] == {"found": 2}
    nobody = reading.send(
        reading.browsers["clerk"], "/staff/", "/staff/find/card", card="999", library="lindental"
    )
    assert nobody.status_code == 404


# --- deciding ----------------------------------------------------------------------------------


def test_a_case_is_decided_with_reason_and_reference(each_office):
    office = each_office
    browser, clerk = office.staff_browser()
    answer = office.decide(browser)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/staff/cases/{office.case}?done=done",
    )
    page = browser.get(f"{answer.headers['location']}&lang=de").text
    for said in ("Dieser Fall ist abgeschlossen", "Es wurde von Hand verbucht", "clerk", REASON, "Kasse 17"):
        assert said in page
    assert office.town.view(office.held).state is State.RESOLVED
    assert office.journal("decided_booked_by_hand")[0]["actor"] == clerk.id
    assert office.case in browser.get("/staff/cases?which=closed").text
    assert office.case not in browser.get("/staff/cases").text


def test_the_second_clerk_is_told_what_was_decided(office):
    first, _ = office.staff_browser()
    second, _ = office.staff_browser(login="bob")
    csrf = csrf_of(second.get(f"/staff/cases/{office.case}").text)
    assert office.decide(first).status_code == 303
    form = {"csrf": csrf, "choice": "booked_by_hand", "version": "1", "reason": "me too", "reference": "18"}
    answer = second.post(f"/staff/cases/{office.case}/decide?lang=de", data=form)
    assert answer.status_code == 409
    for said in ("Jemand anderes hat das inzwischen entschieden", "Es wurde von Hand verbucht", REASON):
        assert said in answer.text
    assert "me too" not in str(office.everything_stored())


@pytest.mark.parametrize("decided", [False, True])
def test_a_refund_form_that_was_open_before_a_case_came_decides_nothing(office, decided):
    browser, _ = office.staff_browser("treasurer")
    page = browser.get(f"/staff/payments/{office.settled}").text
    seen = re.findall(r'name="(csrf|version|lines)" value="([^"]+)"', page)
    office.pays_again(office.settled)
    (came,) = (one for one in show.case_list(office.house) if one.payment_id == office.settled)
    if decided:
        office.decide(browser, "no_action", case=came.case_id)
    before = show.case(office.house, came.case_id)
    form = {**dict(seen), "reason": REASON, "meaning": "fee_dropped"}
    answer = browser.post(f"/staff/payments/{office.settled}/refund?lang=de", data=form)
    assert (answer.status_code, "oder es kam ein Fall dazu" in answer.text) == (409, True)
    assert f"/staff/cases/{came.case_id}" in answer.text
    assert show.case(office.house, came.case_id) == before
    assert show.refunds_of(office.house, office.settled) == ()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"reason": " "}, "no_reason"),
        ({"reference": ""}, "no_reference"),
        ({"choice": "refund"}, "no_meaning"),
        ({"choice": "refund", "meaning": "nonsense"}, "no_meaning"),
        ({"choice": "refund", "meaning": "fee_stays"}, "no_choice"),
        ({"version": "7"}, "conflict"),
    ],
)
def test_an_incomplete_decision_is_asked_for_again_with_what_was_typed(office, form, problem):
    from ils_payment.web.staff import story

    browser, _ = office.staff_browser()
    answer = office.decide(browser, **{"reason": "typed before", **form})
    assert answer.status_code == (409 if problem == "conflict" else 422)
    english = browser.get(f"/staff/cases/{office.case}?lang=en")
    assert english.status_code == 200
    answer = office.decide(browser, **{"reason": "typed before", **form})
    assert story.PROBLEMS[problem] in answer.text
    assert form.get("reason", "typed before").strip() in answer.text
    assert office.town.view(office.held).held


def test_an_unknown_choice_is_refused(office):
    browser, _ = office.staff_browser()
    assert office.decide(browser, "burn_it").status_code == 422


def test_a_refund_waits_for_a_second_person_who_approves_it(each_office):
    office = each_office
    clerk, ada = office.staff_browser()
    answer = office.ask_refund(clerk)
    assert answer.headers["location"] == f"/staff/payments/{office.settled}?done=second_person"
    treasurer, eva = office.staff_browser("treasurer")
    page = treasurer.get("/staff/refunds").text
    assert f"<dd>{REASON}</dd>" in page
    (refund,) = re.findall(r"/staff/refunds/([0-9A-Z]{26})/approve", page)
    assert "/approve" not in clerk.get("/staff/refunds").text
    done = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/approve")
    assert done.headers["location"] == "/staff/refunds?done=approved"
    office.town.run()
    assert [row["actor"] for row in office.journal("refund_asked", "refund_approved")] == [ada.id, eva.id]
    again = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/approve")
    assert again.status_code == 409


def test_nobody_approves_an_own_refund(office):
    treasurer, _ = office.staff_browser("treasurer")
    office.ask_refund(treasurer)
    page = treasurer.get("/staff/refunds").text
    (refund,) = re.findall(r"/staff/refunds/([0-9A-Z]{26})/reject", page)
    assert "/approve" not in page
    answer = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/approve")
    assert answer.status_code == 422
    taken = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/reject", reason="a mistake")
    assert taken.headers["location"] == "/staff/refunds?done=withdrawn"


def test_who_may_only_look_any_more_takes_no_own_refund_back(office):
    clerk, colleague = office.staff_browser("clerk")
    office.ask_refund(clerk)
    (refund,) = re.findall(r"/staff/refunds/([0-9A-Z]{26})/reject", clerk.get("/staff/refunds").text)
    with office.house.store.unit() as unit:
        staff.change(unit, colleague.id, name="clerk", role=Role.AUDITOR, libraries=None)
    page = clerk.get("/staff/refunds").text
    assert "/reject" not in page
    token = csrf_of(page)
    answer = clerk.post(f"/staff/refunds/{refund}/reject", data={"csrf": token, "reason": "a mistake"})
    assert answer.status_code == 403


def test_a_refund_is_rejected_with_a_reason_by_those_who_may(office):
    clerk, _ = office.staff_browser()
    office.ask_refund(clerk)
    (refund,) = re.findall(r"/staff/refunds/([0-9A-Z]{26})/reject", clerk.get("/staff/refunds").text)
    other, _ = office.staff_browser(login="bob")
    refused = office.send(other, "/staff/refunds", f"/staff/refunds/{refund}/reject", reason="no")
    assert refused.status_code == 403
    treasurer, _ = office.staff_browser("treasurer")
    empty = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/reject", reason=" ")
    assert empty.status_code == 422
    good = office.send(treasurer, "/staff/refunds", f"/staff/refunds/{refund}/reject", reason="not justified")
    assert good.status_code == 303
    assert "not justified" in clerk.get(f"/staff/payments/{office.settled}").text


def test_money_goes_only_for_somebody_who_was_proven_just_now(office):
    browser, ada = office.staff_browser()
    office.world.pass_time(minutes=6)
    assert 'name="code"' in browser.get(f"/staff/payments/{office.settled}").text
    assert office.ask_refund(browser).status_code == 422
    assert office.ask_refund(browser, code="000000").status_code == 422
    assert [row["what"] for row in office.journal("staff_confirm_failed", "refund_asked")] == [
        "staff_confirm_failed"
    ]
    code = office.code(ada)
    assert office.ask_refund(browser, code=code).status_code == 303
    assert 'name="code"' not in browser.get(f"/staff/cases/{office.case}").text, "proven a moment ago"


def test_guessing_codes_at_a_refund_comes_to_an_end(office):
    browser, ada = office.staff_browser()
    office.world.pass_time(minutes=6)
    for _ in range(5):
        office.ask_refund(browser, code="000000")
    assert office.ask_refund(browser, code=office.code(ada)).status_code == 422


def test_what_has_a_case_is_settled_again_when_a_clerk_says_so(office):
    browser, _ = office.staff_browser()
    answer = office.decide(browser, "settle_again")
    assert answer.status_code == 303
    office.town.run()
    # The fee is gone still, so the program finds the same and asks again.
    assert office.town.view(office.held).held


def test_the_journal_tells_names_and_not_only_ids(reading):
    page = reading.browsers["auditor"].get("/staff/journal?lang=de").text
    for said in ("Angemeldet", "clerk", "technician"):
        assert said in page
    with reading.house.store.read() as unit:
        assert "clerk" not in str([row["actor"] for row in journal.newest(unit)])


@pytest.mark.parametrize("role", ["clerk", "treasurer"])
def test_a_case_that_no_payment_belongs_to_is_shown_to_whoever_may_decide_it(office, role):
    facts = {"cents": 100, "at_provider": "pi_x", "currency": "EUR"}
    with office.house.store.unit() as unit:
        cases.open_case(unit, "lindental", None, "not_in_ledger", facts, "stripe:pi_x")
    case = next(one for one in show.case_list(office.house) if one.payment_id is None)
    assert office.staff_browser(role)[0].get(f"/staff/cases/{case.case_id}").status_code == 200


def test_a_voucher_of_several_fees_needs_at_least_one_of_them(office):
    payment_id = office.paid(only=2)
    with office.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "marker_missing", {"marker": "x"}, what="reconciled")
    case = next(one for one in show.case_list(office.house) if one.payment_id == payment_id)
    browser = office.staff_browser("treasurer")[0]
    answer = office.decide(browser, "refunded_outside", case=case.case_id, several="true")
    assert "Bitte wählen Sie, was zurückgegeben werden soll" in answer.text
    assert "marker_missing" in kinds(office, payment_id)


@pytest.mark.parametrize(("kind", "on_top"), [("paid_wrong", True), ("marker_missing", False)])
def test_what_is_ticked_to_go_back_is_what_the_case_is_about(office, kind, on_top):
    payment_id = office.settled
    office.pays_again(payment_id)
    with office.house.store.unit() as unit:
        payments.hold_late(unit, payment_id, "marker_missing", {"marker": "x"}, what="reconciled")
    of_it = [one for one in show.case_list(office.house) if one.payment_id == payment_id]
    case = next(one for one in of_it if one.kind == kind)
    page = office.staff_browser("treasurer")[0].get(f"/staff/cases/{case.case_id}").text
    boxes = re.findall(r'name="lines" value="([^"]+)"( checked)?', page)
    assert len(boxes) == 4  # A fee and the sum on top, to be given back by the provider or by the treasury.
    assert all(bool(ticked) == ((value == "all") is on_top) for value, ticked in boxes)


def test_everything_that_is_ticked_goes_back_and_not_only_what_the_case_is_about(office):
    payment_id = office.settled
    fee = office.town.view(payment_id).cents
    office.pays_again(payment_id)
    case = next(one for one in show.case_list(office.house) if one.payment_id == payment_id)
    browser = office.staff_browser("treasurer")[0]
    page = browser.get(f"/staff/cases/{case.case_id}").text
    boxes = sorted(set(re.findall(r'name="lines" value="([^"]+)"', page)))
    assert len(boxes) == 2
    office.decide(browser, "refunded_outside", case=case.case_id, several="true", lines=boxes)
    assert books(office.town, payment_id)["outside"] == 2 * fee
