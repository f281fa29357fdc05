"""A library or provider is renamed in, or left out of, the configuration, and has payments in the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ils_payment.cli.house_findings import of_providers
from ils_payment.errors import ConfigurationError
from ils_payment.flows import pay
from ils_payment.flows.house import open_house
from ils_payment.flows.subject import forget_old
from ils_payment.model import Level
from ils_payment.store.tables import private_payments
from tests.flows.decisions import approved, kinds, settled_payment
from tests.flows.truths import ending, hear, paid, settled


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


def with_stripe_renamed(town):
    """The configuration in which the same provider has a table of another name."""
    table = town.settings.libraries["lindental"]
    methods = [one.model_copy(update={"provider": "other"}) for one in table.methods]
    changed = {"providers": {"other": table.providers["stripe"]}, "methods": methods}
    return town.settings.model_copy(update={"libraries": {"lindental": table.model_copy(update=changed)}})


@pytest.mark.parametrize("how", ["begun", "refunded"])
def test_a_provider_with_payments_that_go_on_is_not_left_out_of_the_configuration(town, how):
    if how == "begun":
        town.started()
    else:
        approved(town, settled_payment(town))
    settings = with_stripe_renamed(town)
    with pytest.raises(ConfigurationError, match="with stripe go on") as told:
        open_house(settings, town.world)
    assert "Keep the table under its name" in told.value.mend
    with town.house.store.read() as unit:
        (found,) = of_providers(settings, unit)
    assert (found.level, found.seen, found.mend) == (Level.ERROR, told.value.what, told.value.mend)


def test_a_provider_all_of_whose_payments_are_at_their_end_is_named_by_the_check(town):
    settled_payment(town)
    settings = with_stripe_renamed(town)
    open_house(settings, town.world).close()
    with town.house.store.read() as unit:
        assert list(of_providers(town.settings, unit)) == []
        (found,) = of_providers(settings, unit)
    assert found.level is Level.WARNING
    assert "no [libraries.lindental.providers.stripe]" in found.seen


def test_a_host_without_a_provider_settles_what_was_paid_there(town):
    payment_id = paid(town)
    koha = town.world.remotes.pop("koha.test")
    hear(town)
    town.world.remotes["koha.test"] = koha
    town.house.libraries = {"lindental": replace(town.desk, providers={})}
    town.run_for(hours=2, rounds=20)
    assert ending(town, payment_id) == settled()


def test_a_host_without_a_provider_leaves_what_is_open_there_to_the_others(town):
    payment_id = town.started()
    town.house.libraries = {"lindental": replace(town.desk, providers={})}
    town.run_for(hours=2, rounds=20)
    assert str(pay.cancel(town.house, payment_id).state) == "open"
    assert kinds(town, payment_id) == []
    town.house.libraries = {"lindental": town.desk}
    town.run_for(hours=2, rounds=20)
    assert str(town.view(payment_id).state) == "void"
