"""Until when a patron's evidence for a reduced fee is good: the attribute that the library chose for it."""

from __future__ import annotations

from datetime import date

import pytest
from ils_payment_koha import evidence

from ils_payment.errors import RemoteAbsentError, RemoteGarbledError
from ils_payment.model import Level, PatronRef, Unreadable
from ils_payment.ports import Evidencing

UNREADABLE = Unreadable(reason="koha_evidence_is_no_day")
LAST = date(2027, 3, 31)


@pytest.fixture
def adapter(koha, connect):
    return connect(koha, evidence_attribute="NACHWEIS")


@pytest.fixture
def erika(koha):
    return PatronRef(str(koha.patron_ids["erika"]))


def told(koha, adapter, patron, *values):
    for value in values:
        koha.add_attribute(int(patron), "NACHWEIS", value)
    return adapter.evidence_until(patron)


def test_evidence_is_declared_only_where_an_attribute_is_configured(koha, connect, adapter):
    assert not connect(koha).capabilities().shows_evidence
    assert adapter.capabilities().shows_evidence
    assert isinstance(adapter, Evidencing)


@pytest.mark.parametrize("value", ["2027-03-31", "31.03.2027", " 31.3.2027 "])
def test_a_day_is_read_as_koha_and_as_a_clerk_write_it(koha, adapter, erika, value):
    assert told(koha, adapter, erika, value) == LAST


def test_of_several_days_the_latest_counts_and_other_attributes_do_not(koha, adapter, erika):
    koha.add_attribute(int(erika), "SCHULE", "2099-01-01")
    assert told(koha, adapter, erika, "2026-03-31", "2027-03-31", "2025-03-31") == LAST


@pytest.mark.parametrize("values", [(), (None,), ("",), ("  ",)])
def test_without_a_value_there_is_no_evidence(koha, adapter, erika, values):
    koha.add_attribute(int(erika), "SCHULE", "2099-01-01")
    assert told(koha, adapter, erika, *values) is None


@pytest.mark.parametrize(
    "value",
    ["bis 31.03.2027", "03/31/2027", "31.03.27", "2027", "2027-02-30", "20270331", "2027-03-31T00:00", "ja"],
)
def test_whatever_is_no_day_beyond_doubt_is_unreadable(koha, adapter, erika, value):
    assert told(koha, adapter, erika, value) == UNREADABLE


def test_a_value_that_is_no_day_beside_one_that_is_makes_both_unreadable(koha, adapter, erika):
    assert told(koha, adapter, erika, "2027-03-31", "verlängert") == UNREADABLE


def test_a_patron_who_is_not_there_has_no_evidence(adapter):
    with pytest.raises(RemoteAbsentError):
        adapter.evidence_until(PatronRef("999999"))


@pytest.mark.parametrize("body", [{}, None, [1], [{"value": "2027-03-31"}]])
def test_an_answer_against_the_specification_is_garbled(body):
    with pytest.raises(RemoteGarbledError):
        evidence.last_day(body, "NACHWEIS")


def finding(adapter):
    return next((one for one in adapter.check() if one.subject == "Koha: read evidence"), None)


def test_check_asks_for_attributes_only_where_one_is_configured(koha, connect, adapter):
    assert finding(connect(koha)) is None
    found = finding(adapter)
    assert found is not None
    assert (found.level, "NACHWEIS" in found.seen) == (Level.OK, True)


def test_check_names_the_right_that_is_missing(koha, adapter):
    koha.set_rights(2, ["updatecharges:remaining_permissions", "catalogue"])
    found = finding(adapter)
    assert found is not None
    assert (found.level, "edit_borrowers" in found.mend) == (Level.ERROR, True)
