"""A library is renamed in, or left out of, the configuration, and the ledger has payments of it."""

from __future__ import annotations

import pytest

from ils_payment.errors import ConfigurationError
from ils_payment.flows.house import open_house
from ils_payment.flows.subject import forget_old
from ils_payment.store.tables import private_payments
from tests.flows.decisions import settled_payment


def renamed(town):
    """The configuration calls the same library otherwise."""
    town.house.close()
    libraries = {"neustadt": town.settings.libraries["lindental"]}
    town.house = open_house(town.settings.model_copy(update={"libraries": libraries}), town.world)


def test_a_library_with_payments_that_go_on_is_not_left_out_of_the_configuration(town):
    town.started()
    with pytest.raises(ConfigurationError, match="Payments of lindental go on") as told:
        renamed(town)
    assert "Keep the table under its key" in told.value.mend


def test_what_is_private_about_payments_of_a_library_that_is_gone_is_forgotten_like_any_other(each_town):
    town = each_town
    settled_payment(town)
    renamed(town)
    town.world.pass_time(days=31 * 14 + 1)
    forget_old(town.house)
    with town.house.store.read() as unit:
        assert unit.connection.execute(private_payments.select()).all() == []
