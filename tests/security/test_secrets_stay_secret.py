"""Secrets: where they may stand, who may read them, and that nothing ever shows one."""

from __future__ import annotations

import os
import traceback

import pytest
from ils_payment_koha.config import KohaConfig
from ils_payment_stripe.config import StripeConfig
from pydantic import BaseModel, SecretStr, ValidationError

from ils_payment.config import Arrival, Key, Library, Mail, Server, Settings
from ils_payment.errors import ConfigurationError
from ils_payment.loading import load_settings
from tests.conftest import settings_for

MODELS: list[type[BaseModel]] = [Server, Mail, Key, KohaConfig, StripeConfig]
CANARY = "CANARY-of-a-secret-with-more-than-32-characters"
SECRET_WORDS = ("secret", "password", "api_key", "token")


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
        if any(word in name for word in SECRET_WORDS)
    ]
    assert set(sounding) == set(secret_fields())
    assert len(sounding) >= 8


@pytest.mark.parametrize(("model", "name"), secret_fields(), ids=lambda one: getattr(one, "__name__", one))
def test_a_secret_in_clear_is_refused_and_not_repeated(model, name):
    several = "tuple" in annotated(model.model_fields[name])
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: [CANARY] if several else CANARY})
    told = [one for one in caught.value.errors() if name in one["loc"]]
    assert "in clear" in told[0]["msg"]


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
    for model in (Settings, Library, *MODELS):
        tables(model, seen)
    open_tables = {model.__name__ for model in seen if model.model_config.get("extra") != "forbid"}
    assert open_tables == {"PluginTable"}, "a plugin's own table is checked by the plugin's own model"


def test_the_house_keeps_no_secret_in_its_text(tmp_path):
    settings = settings_for(f"sqlite:///{tmp_path}/ledger.db")
    shown = repr(settings) + settings.model_dump_json()
    for name in ("TOWN_KOHA_SECRET", "TOWN_STRIPE_KEY", "TOWN_STRIPE_WEBHOOK"):
        assert os.environ[name] not in shown
