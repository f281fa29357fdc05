"""``ils-payment staff``: accounts are made, listed, reset and disabled, without any password here."""

from __future__ import annotations

import json
import sys

import pytest

from ils_payment import flows
from ils_payment.domain.roles import Role
from ils_payment.flows import factors
from ils_payment.flows import staff_accounts as accounts
from ils_payment.store import journal, staff
from tests.authenticator import code_now
from tests.cli.test_cli_ledger import configured


@pytest.fixture
def config(town, tmp_path):
    path = configured(tmp_path, town.settings.server.database)
    path.write_text(f"{path.read_text()}[staff]\n", encoding="utf-8")
    return path


def test_an_account_is_made_and_its_link_printed(ils_payment, config, town):
    ran = ils_payment("--config", config, "staff", "add", "Ada", "--role", "clerk", "--library", "lindental")
    assert ran.code == 0, ran.err
    address = ran.out.strip()
    assert address.startswith("https://pay.lindental.example/staff/enrol?link=")
    account = accounts.of_link(town.house, address.partition("link=")[2])
    assert account is not None
    assert (account.login, account.role, account.libraries) == ("ada", Role.CLERK, ("lindental",))
    with town.house.store.read() as unit:
        (row,) = journal.newest(unit, what="staff_added")
    assert row["actor"].startswith("cli:")


def test_accounts_are_listed_with_how_they_sign_in(ils_payment, config, town):
    empty = ils_payment("--config", config, "staff", "list")
    assert "There is no account" in empty.out
    ils_payment("--config", config, "staff", "add", "ada", "--role", "treasurer")
    shown = ils_payment("--config", config, "staff", "list").out
    for word in ("ada", "treasurer", "all", "not set up yet"):
        assert word in shown
    (listed,) = json.loads(ils_payment("--config", config, "staff", "list", "--json").out)
    assert (listed["login"], listed["role"], listed["ready"]) == ("ada", "treasurer", False)
    assert "password" not in listed


def _ready(town, config, ils_payment):
    link = ils_payment("--config", config, "staff", "add", "ada", "--role", "clerk").out.strip()
    token = link.partition("link=")[2]
    shared = factors.enrolment_secret(town.house.installation.secret, token)
    code = code_now(shared, town.world.now())
    assert accounts.enrol(town.house, token, "a long password indeed", code)


def test_reset_and_disable_take_everything_away(ils_payment, config, town):
    _ready(town, config, ils_payment)
    assert "by password" in ils_payment("--config", config, "staff", "list").out
    ran = ils_payment("--config", config, "staff", "disable", "ADA")
    assert ran.code == 0
    with town.house.store.read() as unit:
        account = staff.by_login(unit, "ada")
    assert account is not None
    assert (account.password, account.totp) == (None, None)
    assert account.disabled_at is not None
    link = ils_payment("--config", config, "staff", "reset", "ada").out.strip()
    assert accounts.of_link(town.house, link.partition("link=")[2]) is not None


def test_an_account_of_an_identity_provider_needs_no_link(ils_payment, config, town):
    person = accounts.welcomed(town.house, "s" * 64, name="Eva", role=Role.AUDITOR, libraries=None)
    assert person is not None
    assert ils_payment("--config", config, "staff", "disable", person.id).code == 0
    assert accounts.welcomed(town.house, "s" * 64, name="Eva", role=Role.AUDITOR, libraries=None) is None
    ran = ils_payment("--config", config, "staff", "reset", person.id)
    assert "identity provider" in ran.out
    assert accounts.welcomed(town.house, "s" * 64, name="Eva", role=Role.AUDITOR, libraries=None)
    assert "by OIDC" in ils_payment("--config", config, "staff", "list").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "a b", "--role", "clerk"), "cannot be a name"),
        (("add", "ada", "--role", "clerk", "--library", "nowhere"), "no library 'nowhere'"),
        (("reset", "nobody"), "no account 'nobody'"),
        (("disable", "nobody"), "no account 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_mend(ils_payment, config, arguments, told):
    ran = ils_payment("--config", config, "staff", *arguments)
    assert ran.code == 1
    assert told in ran.err
    assert "What to do" in ran.err


def test_without_the_table_no_account_is_made(ils_payment, town, tmp_path):
    config = configured(tmp_path, town.settings.server.database)
    ran = ils_payment("--config", config, "staff", "add", "ada", "--role", "clerk")
    assert ran.code == 1
    assert "[staff]" in ran.err


@pytest.mark.parametrize("package", ["argon2", "pyotp"])
def test_a_missing_package_is_named_with_its_extra(ils_payment, config, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("factors", "staff_accounts"):
        monkeypatch.delitem(sys.modules, f"ils_payment.flows.{module}", raising=False)
        monkeypatch.delattr(flows, module, raising=False)
    ran = ils_payment("--config", config, "staff", "list")
    assert ran.code == 1
    assert "pip install '.[staff]'" in ran.err
