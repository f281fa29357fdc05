"""What one is told to do about a plugin's table: a step that fits, not the line that is wrong."""

from __future__ import annotations

import pytest

from ils_payment.errors import ConfigurationError
from ils_payment.loading import plugin_class, plugin_config
from ils_payment.plugins import Plugins

SISIS = {
    "slnp": {"host": "sisis.example", "port": 5000},
    "writes": {
        "host": "sip.example",
        "port": 6443,
        "preset": "bibliotheca",
        "patron_key": {"env": "KEY"},
        "dialect": {"login": False},
    },
}
SOAP = {"url": "https://opac.example", "preset": "symphony", "patron_key": {"env": "KEY"}}
ADYEN = {
    "api_key": {"env": "KEY"},
    "merchant_account": "TownECOM",
    "hmac_keys": [{"env": "KEY"}],
    "statement": "TOWN LIBRARY",
}
XBEZAHLDIENSTE = {
    "url": "https://epayment.example/",
    "originator_id": "library",
    "end_point_id": "1",
    "authentication": "certificate",
}
READ = "Correct the path, or let the user of the service read the file."

STEPS: dict[str, tuple[str, str, dict[str, object], str, str]] = {
    "a list": (
        "providers",
        "adyen",
        {**ADYEN, "hmac_keys": {"env": "KEY"}},
        "hmac_keys: must be a list",
        "Write hmac_keys = [...]. ",
    ),
    "too long": (
        "providers",
        "adyen",
        {**ADYEN, "statement": "T" * 23},
        "this has 23 characters",
        "Adyen takes 1 to 22.",
    ),
    "an umlaut": (
        "providers",
        "adyen",
        {**ADYEN, "statement": "BÜCHEREI"},
        "plain letters",
        "Write ae, oe, ue and ss.",
    ),
    "a port": (
        "library_system",
        "sisis",
        {**SISIS, "slnp": {"host": "sisis.example", "port": 65536}},
        "slnp.port: must be at most 65535",
        "Write a number from 1 to 65535.",
    ),
    "two ways to read": (
        "library_system",
        "sisis",
        {**SISIS, "ncip": {"url": "https://sisis.example/ncip2slnp"}},
        "exactly one of the tables slnp and ncip",
        "and remove the other",
    ),
    "no preset": (
        "library_system",
        "opac-soap",
        {**SOAP, "preset_file": "/x.toml"},
        "give either preset or preset_file",
        "Write one of the presets arena, libero, ",
    ),
    "no preset file": (
        "library_system",
        "opac-soap",
        {"url": SOAP["url"], "preset_file": "/nowhere.toml", "patron_key": {"env": "KEY"}},
        "/nowhere.toml cannot be read",
        "Correct the path, or let the user of the service read it.",
    ),
    "a long purpose": (
        "providers",
        "xbezahldienste",
        {**XBEZAHLDIENSTE, "purpose": "STADTBIBLIOTHEK"},
        "purpose: must have at most 13 characters",
        'Write it like: purpose = "BIBLIOTHEK"',
    ),
    "no certificate": (
        "providers",
        "xbezahldienste",
        {**XBEZAHLDIENSTE, "client_certificate": "/nowhere.pem"},
        "/nowhere.pem cannot be read",
        READ,
    ),
    "an unknown place": (
        "providers",
        "xbezahldienste",
        {**XBEZAHLDIENSTE, "booking_data": {"HHST": "{kostenstelle}"}},
        "only {cost_centre} and {account} can be filled in",
        "Write one of them, or no braces.",
    ),
    "no secret file": (
        "providers",
        "adyen",
        {**ADYEN, "api_key": {"file": "/nowhere/key"}},
        "/nowhere/key cannot be read",
        READ,
    ),
    "a credential of systemd": (
        "providers",
        "adyen",
        {**ADYEN, "api_key": {"file": "/run/credentials/ils-payment.service/none"}},
        "cannot be read",
        'Write { credential = "none" }, put the file into /etc/ils-payment/credentials, and name it in the ',
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_is_wrong_in_a_plugins_table_is_told_with_a_step_that_fits(monkeypatch, step):
    key, name, table, what, mend = STEPS[step]
    monkeypatch.setenv("KEY", "0123456789abcdef" * 4)
    cls = plugin_class(Plugins({name}), ("libraries", "town", key), name)
    with pytest.raises(ConfigurationError) as caught:
        plugin_config(cls, table, "libraries.town.it")
    told = str(caught.value)
    assert what in told
    assert mend in told


def test_an_empty_secret_file_is_told_to_be_filled(tmp_path):
    path = tmp_path / "key"
    path.touch(mode=0o600)
    cls = plugin_class(Plugins({"adyen"}), ("libraries", "town", "providers"), "adyen")
    with pytest.raises(ConfigurationError) as caught:
        plugin_config(cls, {"api_key": {"file": str(path)}}, "libraries.town.providers.adyen")
    assert f"the file {path} is empty. Write the secret into it." in str(caught.value)
