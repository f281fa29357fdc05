"""Secrets: where they may stand, who may read them, and that nothing ever shows one."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from ils_payment.config import Arrival, Key, Mail, Server, Settings
from ils_payment.errors import ConfigurationError
from ils_payment.flows import factors, links
from ils_payment.loading import load_settings
from ils_payment.model import State
from ils_payment.plugins import installed, load
from ils_payment.ports import PluginConfig
from ils_payment.store import installation
from ils_payment.world import World
from tests.conftest import settings_for
from tests.docs.test_docs_configuration import models_in
from tests.web.doors import PUBLIC


def plugin_tables() -> set[type[BaseModel]]:
    """The tables of all plugins that come along."""
    for point in installed().values():
        load(point)
    kinds = {kind for kind in PluginConfig.__subclasses__() if kind.__module__.startswith("ils_payment_")}
    return {model for kind in kinds for model in models_in(kind)}


MODELS = sorted(models_in(Settings) | plugin_tables(), key=str)
CANARY = "CANARY-of-a-secret-with-more-than-32-characters"
SECRET_WORDS = (
    "secret",
    "password",
    "api_key",
    "hmac_key",
    "patron_key",
    "pseudonym_key",
    "token",
    "check_pin",
)
NO_SECRETS = {"token_url"}


def annotated(field):
    return str(field.annotation) + str(field.metadata)


def secret_fields():
    return [
        (model, name)
        for model in MODELS
        for name, field in model.model_fields.items()
        if "SecretStr" in annotated(field)
    ]


def test_every_field_that_sounds_like_a_secret_is_one():
    sounding = [
        (model, name)
        for model in MODELS
        for name in model.model_fields
        if any(word in name for word in SECRET_WORDS) and name not in NO_SECRETS
    ]
    assert set(sounding) <= set(secret_fields())
    assert len(sounding) > 20


@pytest.mark.parametrize(("model", "name"), secret_fields(), ids=lambda one: getattr(one, "__name__", one))
def test_a_secret_in_clear_is_refused_and_not_repeated(model, name):
    several = "tuple" in annotated(model.model_fields[name])
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: [CANARY] if several else CANARY})
    told = [one for one in caught.value.errors() if name in one["loc"]]
    assert "in clear" in told[0]["msg"]


def test_no_secret_has_a_value_from_the_factory():
    for model, name in secret_fields():
        field = model.model_fields[name]
        assert field.is_required() or not field.get_default(call_default_factory=True), (model, name)


def test_passwords_are_stored_as_argon2id_with_the_costs_that_owasp_asks_for():
    assert factors.hashed(World(), "a password of many signs").startswith("$argon2id$v=19$m=47104,t=1,p=1$")


def a_secret(monkeypatch):
    monkeypatch.setenv("CANARY_SECRET", CANARY)
    return Key.model_validate({"kid": "opac-1", "secret": {"env": "CANARY_SECRET"}})


def test_a_secret_shows_stars_however_it_is_printed(monkeypatch):
    key = a_secret(monkeypatch)
    arrival = Arrival(keys=(key,))
    for thing in (key, key.secret, arrival, {"key": key}, [key.secret]):
        for shown in (repr(thing), str(thing), f"{thing}", f"{thing!r}"):
            assert CANARY not in shown
            assert "**" in shown
    assert CANARY not in arrival.model_dump_json()
    assert CANARY not in str(arrival.model_dump())
    assert isinstance(key.secret, SecretStr)


def test_a_new_secret_of_the_installation_ends_links_that_were_made_with_the_old_one(each_doors):
    """As the handbook says for a backup that was stolen, in the words of each database."""
    town = each_doors.town
    payment = town.started()
    old = links.return_url(town.house, "lindental", payment, town.world.now()).partition(PUBLIC)[2]
    assert each_doors.browser().get(old).status_code == 200
    handbook = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    sqlite, postgresql = re.findall(r"UPDATE installation SET secret = [^\n\"`]+", handbook)
    kind = town.house.store.engine.dialect.name
    with town.house.store.unit() as unit:
        unit.connection.exec_driver_sql(sqlite if kind == "sqlite" else postgresql)
        town.house.installation = installation.read(unit)
    assert len(town.house.installation.secret) >= 30
    assert each_doors.browser().get(old).status_code == 403
    town.stripe.pay(town.session_of(payment))
    assert each_doors.arrived().get(f"/lindental/payments/{payment}").status_code == 200
    town.run()
    assert town.view(payment).state is State.SETTLED


def test_a_traceback_through_the_settings_shows_no_secret(monkeypatch):
    key = a_secret(monkeypatch)

    def stumble(settings):
        raise RuntimeError(settings)

    try:
        stumble(key)
    except RuntimeError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert CANARY not in "".join(told.format())


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o606])
def test_a_secret_file_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text(CANARY)
    path.chmod(mode)
    with pytest.raises(ValidationError, match="can be read by everybody") as caught:
        Key.model_validate({"kid": "opac-1", "secret": {"file": str(path)}})
    assert CANARY not in str(caught.value)
    path.chmod(0o640)
    assert Key.model_validate({"kid": "opac-1", "secret": {"file": str(path)}}).kid == "opac-1"


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o602])
def test_a_configuration_that_others_may_change_is_refused(tmp_path, mode):
    path = tmp_path / "config.toml"
    path.write_text("[server]\n")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="can be changed by everybody"):
        load_settings(path)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:canary@db/ledger",
        "postgresql+psycopg://user:canary@db/ledger?sslmode=require",
        "postgresql://user@db/ledger?sslmode=require&password=canary",
        "postgresql://user@db/ledger?%70assword=canary",
    ],
)
def test_a_password_in_the_address_of_the_database_is_refused(address):
    with pytest.raises(ValidationError, match="must not stand here in clear"):
        Server.model_validate({"public_url": "https://pay.library.example", "database": address})


def test_a_mail_password_never_goes_over_an_open_connection(monkeypatch):
    monkeypatch.setenv("CANARY_SECRET", CANARY)
    table = {"host": "mail.example", "sender": "a@b.example", "user": "u", "security": "none"}
    with pytest.raises(ValidationError, match="starttls or tls only"):
        Mail.model_validate({**table, "password": {"env": "CANARY_SECRET"}})


@pytest.mark.parametrize("host", ["mail.example", "192.0.2.1"])
def test_mails_never_go_in_clear_to_another_host(host):
    table = {"sender": "a@b.example", "security": "none"}
    with pytest.raises(ValidationError, match="write starttls or tls"):
        Mail.model_validate({**table, "host": host})
    for here in ("127.0.0.1", "::1", "localhost"):
        assert Mail.model_validate({**table, "host": here}).host == here


def test_every_table_refuses_keys_that_it_does_not_know():
    """What is misspelt is no silent default: a switch that protects must not be ignored."""

    def tables(model, seen):
        if model in seen:
            return
        seen.add(model)
        for field in model.model_fields.values():
            for one in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(one, type) and issubclass(one, BaseModel):
                    tables(one, seen)

    seen: set[type[BaseModel]] = set()
    for model in MODELS:
        tables(model, seen)
    open_tables = {model.__name__ for model in seen if model.model_config.get("extra") != "forbid"}
    assert open_tables == {"PluginTable"}, "a plugin's own table is checked by the plugin's own model"


def test_the_house_keeps_no_secret_in_its_text(tmp_path):
    settings = settings_for(f"sqlite:///{tmp_path}/ledger.db")
    shown = repr(settings) + settings.model_dump_json()
    for name in ("TOWN_KOHA_SECRET", "TOWN_STRIPE_KEY", "TOWN_STRIPE_WEBHOOK"):
        assert os.environ[name] not in shown
