"""One-time links and second factors of staff accounts: each works once, and only for who has it."""

from __future__ import annotations

import pytest

from ils_payment.domain.roles import Role
from ils_payment.flows import factors
from ils_payment.flows import staff_accounts as accounts
from ils_payment.store import staff
from tests.authenticator import code_now

PASSWORD = "a long sentence that nobody guesses"


def made(town):
    """A new account: (token of its link, the code that its authenticator shows now)."""
    address = accounts.add(town.house, "ada", Role.CLERK, (), "cli:test")
    token = address.split("link=")[1]
    shared = factors.enrolment_secret(town.house.installation.secret, token)
    return token, code_now(shared, town.world.now())


def test_a_link_works_once_and_not_for_ever(town):
    token, code = made(town)
    assert accounts.enrol(town.house, token, PASSWORD, code)
    with pytest.raises(accounts.StaffAccountError, match="not good any more"):
        accounts.enrol(town.house, token, PASSWORD, code)
    with pytest.raises(accounts.StaffAccountError, match="not good any more"):
        accounts.enrol(town.house, "invented", PASSWORD, code)


def test_of_two_who_use_the_same_link_at_the_same_time_one_gets_the_account(town, monkeypatch):
    token, code = made(town)
    with monkeypatch.context() as faster:
        faster.setattr(staff, "use_link", lambda *_: False)
        with pytest.raises(accounts.StaffAccountError, match="used just now"):
            accounts.enrol(town.house, token, "the password of the second one", code)
    assert accounts.proven(town.house, "ada", "the password of the second one", code) is None
    assert accounts.enrol(town.house, token, PASSWORD, code)


def test_an_account_without_an_authenticator_confirms_nothing(town):
    made(town)
    (account,) = accounts.listed(town.house)
    assert account.totp is None
    for typed in ("", "000000", "123456"):
        assert not accounts.confirmed(town.house, account, typed)
