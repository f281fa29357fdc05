"""``init`` writes a file that works, and explains all of it."""

from __future__ import annotations

import re
import stat

import certifi
import pytest

from ils_payment.cli.reference import entries_of, tables_of
from ils_payment.config import PluginTable, Settings
from ils_payment.flows.house import open_desk
from ils_payment.loading import check_plugin_tables, load_settings
from ils_payment.plugins import Plugins
from ils_payment.world import World


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("KOHA_CLIENT_SECRET", "secret")
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_123")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_123")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("METRICS_TOKEN", "secret")
    monkeypatch.setenv("MAIL_PASSWORD", "secret")
    monkeypatch.setenv("OIDC_SECRET", "secret")
    monkeypatch.setenv("OPAC_SECRET", "0123456789abcdef0123456789abcdef")


def test_the_written_file_loads_once_its_secrets_are_set(ils_payment, tmp_path, secrets):
    path = tmp_path / "config.toml"
    ran = ils_payment("init", path, "--library", "town")
    assert ran.code == 0
    assert "ils-payment check" in ran.out
    settings = load_settings(path)
    check_plugin_tables(settings, Plugins(settings.plugin_names()))
    assert list(settings.libraries) == ["town"]


@pytest.fixture
def every_secret(secrets, monkeypatch):
    for name in (
        "SIP2_PATRON_KEY",
        "SIP2_PASSWORD",
        "OPAC_SOAP_PATRON_KEY",
        "OPAC_SOAP_PASSWORD",
        "ADYEN_API_KEY",
    ):
        monkeypatch.setenv(name, "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("ADYEN_HMAC_KEY", "0123456789abcdef" * 4)


def with_files(path, folder):
    """Put the files there that a provider's sample names."""
    for name in ("epaybl.pem", "epaybl.key"):
        (folder / name).touch(mode=0o600)
    path.write_text(path.read_text("utf-8").replace("/etc/ils-payment/epaybl", f"{folder}/epaybl"), "utf-8")


@pytest.mark.parametrize("system", ["koha", "sip2", "sisis", "opac-soap"])
@pytest.mark.parametrize("provider", ["stripe", "adyen", "xbezahldienste"])
def test_the_file_of_every_pair_of_plugins_passes_once_its_secrets_are_set(
    ils_payment, tmp_path, every_secret, system, provider
):
    path = tmp_path / "config.toml"
    assert ils_payment("init", path, "--library-system", system, "--provider", provider).code == 0
    with_files(path, tmp_path)
    settings = load_settings(path)
    open_desk("main", settings.libraries["main"], Plugins(settings.plugin_names()), World())


def test_real_money_has_to_be_chosen(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    ils_payment("init", path, "--provider", "xbezahldienste")
    text = path.read_text("utf-8")
    assert "\nlive = false\n" in text
    assert '\nmethod = "payment_page"\n' in text


def test_the_commented_commands_of_sisis_can_be_uncommented(ils_payment, tmp_path, every_secret, monkeypatch):
    path = tmp_path / "config.toml"
    ils_payment("init", path, "--library-system", "sisis")
    head, slnp, tail = re.split(
        r"(?m)^(?=# --- A command of the library's own that lists|# --- Reading through the NCIP)",
        path.read_text("utf-8"),
    )
    path.write_text(head + re.sub(r"(?m)^# (?=[\[a-z_]+)(?!-)", "", slnp) + tail, "utf-8")
    settings = load_settings(path)
    check_plugin_tables(settings, Plugins(settings.plugin_names()))
    own = settings.libraries["main"].library_system.own["slnp"]
    assert own["fees"]["parameters"] == own["renew"]["parameters"] == {"BenutzerNummer": "{card}"}


def test_without_its_secrets_the_file_is_refused_with_their_names(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    ils_payment("init", path)
    ran = ils_payment("--config", path, "serve")
    assert ran.code == 1
    for name in ("KOHA_CLIENT_SECRET", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"):
        assert f"{name} is not set" in ran.err


def test_every_commented_example_can_be_uncommented(ils_payment, tmp_path, secrets):
    path = tmp_path / "config.toml"
    ils_payment("init", path)
    head, plugins, tail = re.split(
        r"(?m)^(?=# --- The library system|# --- One way to pay)", path.read_text("utf-8")
    )
    whole = (
        re.sub(r"(?m)^# (?=[\[a-z_]+)(?!-)", "", head),
        plugins,
        re.sub(r"(?m)^# (?=[\[a-z_]+)(?!-)", "", tail),
    )
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg/>", encoding="utf-8")
    written = "".join(whole).replace("/etc/ils-payment/logo.svg", str(logo))
    # A file of authorities that is there on each machine on which this runs.
    path.write_text(written.replace("/etc/ssl/certs/town-ca.pem", certifi.where()), encoding="utf-8")
    library = load_settings(path).libraries["main"]
    assert library.contact
    assert library.not_payable
    assert library.fee_kinds
    assert library.arrival.keys


def test_every_key_of_every_table_stands_in_the_file_with_its_description(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    ils_payment("init", path)
    text = path.read_text(encoding="utf-8")
    plugins = Plugins({"koha", "stripe"})
    models = [table.model for table in tables_of(Settings) if table.model is not PluginTable]
    models += [plugins.library_system("koha").Config, plugins.provider("stripe").Config]
    plain = " ".join(line.removeprefix("## ") for line in text.splitlines())
    for model in models:
        for entry in entries_of(model):
            assert re.search(rf"(?m)^(# )?{entry.name} = ", text), entry.name
            assert entry.meaning
            assert entry.meaning in plain


def test_nobody_but_owner_and_group_can_read_the_file(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    ils_payment("--config", path, "init")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_existing_file_is_not_touched(ils_payment, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("mine", encoding="utf-8")
    ran = ils_payment("init", path)
    assert ran.code == 1
    assert "exists already" in ran.err
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_told(ils_payment, tmp_path):
    ran = ils_payment("init", tmp_path / "none" / "config.toml")
    assert ran.code == 1
    assert "What to do: Make its folder" in ran.err


@pytest.mark.parametrize(
    ("option", "name", "seen", "mend"),
    [
        (
            "--library-system",
            "aleph",
            "the plugin 'aleph' is not installed",
            "There is: koha, opac-soap, sip2, sisis.",
        ),
        ("--provider", "strype", "the plugin 'strype' is not installed", "Did you mean stripe?"),
        ("--elending", "divibib", "the plugin 'divibib' is not installed", "There is: onleihe."),
        (
            "--library-system",
            "stripe",
            "The plugin 'stripe' is no library system",
            "There is: koha, opac-soap, sip2, sisis.",
        ),
    ],
)
def test_a_plugin_that_cannot_stand_there_is_told_with_the_option_and_what_there_is(
    ils_payment, tmp_path, option, name, seen, mend
):
    ran = ils_payment("init", tmp_path / "config.toml", option, name)
    assert ran.code == 1
    assert f"Error: {option}: {seen}." in ran.err
    assert f"What to do: {mend}" in ran.err
    assert not (tmp_path / "config.toml").exists()


def test_a_key_that_cannot_stand_in_addresses_is_refused_with_the_rule(ils_payment, tmp_path):
    ran = ils_payment("init", "--library", "Haupt stelle", tmp_path / "config.toml")
    assert ran.code == 1
    assert "'Haupt stelle': this name is part of addresses." in ran.err
    assert "What to do: Use lower-case letters, digits and hyphens only." in ran.err
    assert not (tmp_path / "config.toml").exists()
