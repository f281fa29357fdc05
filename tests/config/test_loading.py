"""The configuration: found, read, overridden, and refused with a message that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from ils_payment.config.appearance import Pages
from ils_payment.errors import ConfigurationError
from ils_payment.loading import check_live, config_path, load_settings, plugin_config
from ils_payment.ports import PluginConfig, Secret

GOOD = """\
[server]
public_url = "https://pay.library.example"

[libraries.town]
name = "Town Library"

[libraries.town.library_system]
plugin = "koha"
url = "https://koha.example/api/v1"

[libraries.town.providers.stripe]
api_key = { env = "STRIPE_KEY" }

[[libraries.town.methods]]
method = "card"
provider = "stripe"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.delenv("ILS_PAYMENT_CONFIG", raising=False)

    def write(text=GOOD, **replace):
        for old, new in replace.items():
            text = text.replace(old, new)
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    assert caught.value.mend or "must be a table" in caught.value.what
    return caught.value


def test_a_good_file_is_read_with_its_defaults(write):
    settings = load_settings(write())
    assert settings.server.port == 8480
    library = settings.libraries["town"]
    assert library.providers["stripe"].plugin == "stripe"
    assert library.library_system.own == {"url": "https://koha.example/api/v1"}


def test_the_option_goes_before_the_variable_and_the_variable_before_the_usual_place(write, monkeypatch):
    path = write()
    assert str(config_path(None)) == "/etc/ils-payment/config.toml"
    monkeypatch.setenv("ILS_PAYMENT_CONFIG", str(path))
    assert load_settings(None).libraries
    assert config_path(path.parent / "other.toml").name == "other.toml"


def test_an_environment_variable_overrides_the_file(write, monkeypatch):
    monkeypatch.setenv("ILS_PAYMENT__SERVER__PORT", "9000")
    monkeypatch.setenv("ILS_PAYMENT__SERVER__TRUSTED_PROXIES", '["10.0.0.0/8"]')
    monkeypatch.setenv("ILS_PAYMENT__LIBRARIES__TOWN__NAME", "Other Name")
    settings = load_settings(write())
    assert settings.server.port == 9000
    assert settings.server.trusted_proxies == ("10.0.0.0/8",)
    assert settings.libraries["town"].name == "Other Name"


def test_a_wrong_environment_variable_is_named(write, monkeypatch):
    monkeypatch.setenv("ILS_PAYMENT__SERVER__PORT", "many")
    assert "environment variable ILS_PAYMENT__SERVER__PORT" in refusal(write()).what


def test_an_environment_variable_of_no_table_is_not_ignored(write, monkeypatch):
    monkeypatch.setenv("ILS_PAYMENT__SEVER__PORT", "1")
    error = refusal(write())
    assert "ILS_PAYMENT__SEVER__PORT" in error.what
    assert "SERVER" in error.mend


def test_an_environment_variable_with_broken_json_is_told_without_its_value(write, monkeypatch):
    monkeypatch.setenv("ILS_PAYMENT__SERVER__TRUSTED_PROXIES", "[canary-value")
    error = refusal(write())
    assert "canary-value" not in str(error)
    assert "environment variable ILS_PAYMENT__SERVER__TRUSTED_PROXIES" in error.what
    assert "EnvSettingsSource" not in error.what
    assert "JSON" in error.mend


def test_an_environment_variable_of_a_library_that_is_misspelt_is_named_and_nothing_else(write, monkeypatch):
    monkeypatch.setenv("ILS_PAYMENT__LIBRARIES__TOWM__STAFF_EMAIL", "staff@library.example")
    error = refusal(write())
    assert "environment variable ILS_PAYMENT__LIBRARIES__TOWM__STAFF_EMAIL names no library" in error.what
    assert error.mend == "Did you mean TOWN?"
    assert "is missing" not in error.what


def test_a_library_can_stand_in_the_environment_alone(write, monkeypatch):
    whole = {
        "name": "Village",
        "library_system": {"plugin": "koha"},
        "providers": {"stripe": {}},
        "methods": [{"method": "card", "provider": "stripe"}],
    }
    for key, value in whole.items():
        monkeypatch.setenv(
            f"ILS_PAYMENT__LIBRARIES__VILLAGE__{key.upper()}", value if key == "name" else json.dumps(value)
        )
    assert set(load_settings(write()).libraries) == {"town", "village"}


def test_an_absent_file_is_told_with_the_command_that_makes_one(tmp_path):
    error = refusal(tmp_path / "none.toml")
    assert "none.toml" in error.what
    assert "ils-payment init" in error.mend


def test_a_file_that_is_not_toml_is_told_with_its_line(write):
    error = refusal(write("[server]\npublic_url = https://x\n"))
    assert "line 2" in error.what


@pytest.mark.parametrize(
    "text",
    [
        '[server]\npublic_url = "x"\npublic_url = "y"\n',
        '[server]\npublic_url = "x"\n[server]\n',
        'libraries = { a = "x", a = "y" }\n',
        'mail = { host = "x" }\n[mail.more]\n',
    ],
)
def test_what_stands_twice_is_told_so(write, text):
    error = refusal(write(text))
    assert "line" in error.what
    assert error.mend.startswith("This key or table stands twice: remove one of the two")


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b'[server]\npublic_url = "M\xfcnchen"\n')
    assert "UTF-8" in refusal(path).what


def test_a_byte_order_mark_is_no_part_of_the_first_line(write):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_settings(path).libraries


def test_a_file_that_everybody_can_change_is_refused_with_the_command_that_helps(write):
    path = write()
    path.chmod(0o646)
    assert refusal(path).mend == f"Type: chmod o-w {path}"
    path.chmod(0o644)
    assert load_settings(path).libraries


LOGO = """[libraries.town.pages]
imprint_url = "https://x"
privacy_url = "https://x"
accessibility_url = "https://x"
logo = "/nowhere/logo.svg"
"""
RULE = '[[libraries.town.not_payable]]\nolder_than_days = "9"\ntext = "x"\n'
METHOD = '[[libraries.town.methods]]\nmethod = "card"\nprovider = "stripe"\n'
CASES = {
    "no such library system": (
        {'"koha"': '"nonesuch"'},
        "libraries.town.library_system.plugin",
        "line 8",
        "There is: koha",
    ),
    "unknown key": ({"public_url": "publik_url"}, "server.publik_url", "line 2", "Did you mean public_url?"),
    "unknown table": ({"[server]": "[mial]\nhost='x'\n[server]"}, "mial", "line 1", "Did you mean mail?"),
    "wrong type": (
        {"[libraries.town]": "port = 'x'\n[libraries.town]"},
        "server.port",
        "line 4",
        "Write it like: port = 8480",
    ),
    "a number in quotation marks": (
        {"[libraries.town]": "port = '8480'\n[libraries.town]"},
        "server.port: must be a whole number",
        "line 4",
        "Write it like: port = 8480",
    ),
    "true for a number": (
        {"[libraries.town]": "port = true\n[libraries.town]"},
        "server.port: must be a whole number",
        "line 4",
        "Write it like: port = 8480",
    ),
    "a text for true": (
        {'name = "T': 'growing_fines_payable = "true"\nname = "T'},
        "libraries.town.growing_fines_payable: must be true or false",
        "line 5",
        "Write it like: growing_fines_payable = false",
    ),
    "a number in quotation marks, in a list": (
        {"[libraries.town.library_system]": f"{RULE}[libraries.town.library_system]"},
        "libraries.town.not_payable[0].older_than_days: must be a whole number",
        "line 8",
        "Write it like: older_than_days = 365",
    ),
    "missing key": ({'name = "Town Library"': ""}, "libraries.town.name", "line 4", "Name of the library"),
    "clear web": (
        {"https://pay": "http://pay"},
        "server.public_url",
        "line 2",
        'Write it like: public_url = "https://pay.library.example"',
    ),
    "gone: giropay": (
        {'"card"': '"giropay"'},
        "libraries.town.methods[0].method",
        "line 15",
        "Use instant_bank_transfer.",
    ),
    "gone: sofort": (
        {'"card"': '"sofort"'},
        "libraries.town.methods[0].method",
        "line 15",
        "Use instant_bank_transfer.",
    ),
    "no provider": (
        {'r = "stripe"': 'r = "strype"'},
        "libraries.town.methods[0].provider",
        "line 16",
        "provider",
    ),
    "minimum": (
        {'"card"': '"card"\nminimum_amount = "1.005"'},
        "libraries.town.methods[0].minimum_amount",
        "line 16",
        'Write it like: minimum_amount = "1.00"',
    ),
    "second person": (
        {'name = "T': 'two_persons_from = "much"\nname = "T'},
        "libraries.town.two_persons_from",
        "line 5",
        "with a decimal point",
    ),
    "second person, too fine": (
        {'name = "T': 'two_persons_from = "0.005"\nname = "T'},
        "libraries.town.two_persons_from",
        "line 5",
        'Write it like: two_persons_from = "0.00"',
    ),
    "no plugin": (
        {'"koha"': '"kooha"'},
        "libraries.town.library_system.plugin",
        "line 8",
        "Did you mean koha?",
    ),
    "twice": (
        {"[libraries.town.library_system]": f"{METHOD}{METHOD}[libraries.town.library_system]"},
        "libraries.town.methods[1].method: the method 'card' stands twice",
        "line 11",
        "twice. Remove one of the two.",
    ),
    "user alone": (
        {"[libraries.town]": "[mail]\nhost = 'm'\nsender = 'a@b'\nuser = 'x'\n[libraries.town]"},
        "mail.user: user and password belong together",
        "line 7",
        "Add password, or remove user.",
    ),
    "library key": ({"libraries.town": "libraries.Town"}, "libraries.Town", "line 4", ""),
    "no methods": (
        {'[[libraries.town.methods]]\nmethod = "card"\nprovider = "stripe"': ""},
        "libraries.town.methods",
        "line 4",
        "Ways to pay",
    ),
    "no table": ({"[libraries.town.library_system]": "[x]"}, "libraries.town.library_system", "line 4", ""),
    "zone": (
        {'name = "T': 'time_zone = "Mars"\nname = "T'},
        "libraries.town.time_zone",
        "line 5",
        "Write it like Europe/Berlin.",
    ),
    "currency": (
        {'name = "T': 'currency = "XXY"\nname = "T'},
        "libraries.town.currency",
        "line 5",
        "ISO 4217",
    ),
    "number for a text": (
        {'name = "T': 'test_cards = [2123]\nname = "T'},
        "libraries.town.test_cards[0]: must be a text",
        "line 5",
        "Put it in quotation marks.",
    ),
    "decimal for a text": (
        {'"card"': '"card"\nminimum_amount = 1.00'},
        "libraries.town.methods[0].minimum_amount: must be a text",
        "line 16",
        "Put it in quotation marks.",
    ),
    "negative": (
        {'"card"': '"card"\nminimum_amount = "-1.00"'},
        "libraries.town.methods[0].minimum_amount: must not be negative",
        "line 16",
        "without the minus sign",
    ),
    "decimal comma": (
        {'"card"': '"card"\nminimum_amount = "1,00"'},
        "libraries.town.methods[0].minimum_amount",
        "line 16",
        "with a decimal point",
    ),
    "form": (
        {'name = "T': 'staff_email = "staff"\nname = "T'},
        "libraries.town.staff_email: is not in the right form",
        "line 5",
        'Write it like: staff_email = "staff@library.example"',
    ),
    "languages": (
        {'name = "T': 'languages = ["fr"]\nname = "T'},
        "libraries.town.languages[0]: must be 'de' or 'en'",
        "line 5",
        'Write it like: languages = ["de", "en"]',
    ),
    "logo": (
        {"[libraries.town.library_system]": LOGO + "[libraries.town.library_system]"},
        "libraries.town.pages.logo",
        "line 11",
        "Correct the path, or put the logo there.",
    ),
    "proxy": (
        {"[libraries.town]": "trusted_proxies = ['10.0.0.0/99']\n[libraries.town]"},
        "server.trusted_proxies[0]",
        "line 4",
        "",
    ),
    "no such file of authorities": (
        {"[libraries.town]": "ca_bundle = '/nowhere/town.pem'\n[libraries.town]"},
        "server.ca_bundle: /nowhere/town.pem is no readable file of certificates (PEM): No such file",
        "line 4",
        "",
    ),
    "no authorities in the file": (
        {"[libraries.town]": "ca_bundle = '/etc/passwd'\n[libraries.town]"},
        "server.ca_bundle: /etc/passwd is no readable file of certificates (PEM)",
        "line 4",
        "",
    ),
    "database password": (
        {"[libraries.town]": "database = 'postgresql://u:canary-secret@h/d'\n[libraries.town]"},
        "server.database",
        "line 4",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_key_is_told_with_its_file_line_and_mend(write, case):
    replace, key, line, mend = CASES[case]
    path = write(**replace)
    error = refusal(path)
    assert str(path) in str(error)
    assert key in str(error)
    assert f"{line}:" in str(error)
    assert mend in str(error)
    assert "canary-secret" not in str(error)
    assert "Meaning" not in str(error)


@pytest.mark.parametrize("key", ["api", "health", "metrics", "static", "webhooks"])
def test_a_library_cannot_have_an_address_that_is_the_programs_own(write, key):
    told = refusal(write(GOOD.replace("libraries.town", f"libraries.{key}")))
    assert f"libraries.{key}" in told.what
    assert told.mend == "Give the library another key."


def test_a_file_without_a_library_is_told_what_a_library_is(write):
    error = refusal(write('[server]\npublic_url = "https://pay.example"\n'))
    assert "libraries: is missing" in error.what
    assert "[libraries.KEY]; ils-payment init writes one." in error.mend


@pytest.mark.parametrize(
    ("method", "instead"), [("giropay", "instant_bank_transfer"), ("sofort", "instant_bank")]
)
def test_a_gone_method_is_refused_with_what_replaces_it(write, method, instead):
    assert instead in refusal(write(**{'"card"': f'"{method}"'})).mend


def test_all_problems_of_a_file_are_told_together(write):
    error = refusal(write(**{"public_url": "publik_url", '"card"': '"giropay"', "name =": "nam ="}))
    told = error.what.splitlines()
    assert "3 problems" in told[0]
    assert [line.split(":")[0].strip() for line in told[1:]] == ["line 2", "line 5", "line 15"]
    assert [line for line in told if "publik_url" in line and "line 2" in line]
    assert [line for line in told if "giropay" in line and "line 15" in line]
    assert [line for line in told if "libraries.town.nam:" in line and "Did you mean name?" in line]


class Inner(PluginConfig):
    port: int = Field(1, description="Port.")
    seconds: float = Field(1.5, description="Seconds.")


class OwnConfig(PluginConfig):
    renew: bool = Field(default=False, description="Renew.")
    inner: Inner | None = None
    url: str = Field(description="Address.")
    key: Secret = Field(description="The key.")
    keys: tuple[Secret, ...] = Field((), description="More keys.")


class Plugin:
    Config: ClassVar[type[PluginConfig]] = OwnConfig


def table(write, text):
    body = f'[libraries.town.library_system]\nplugin = "koha"\n{text}\n'
    settings = load_settings(write(**{'[libraries.town.library_system]\nplugin = "koha"\n': body}))
    return settings.libraries["town"].library_system


def checked(own) -> Any:
    return plugin_config(Plugin, own, "libraries.town.library_system")


def plugin_refusal(own):
    with pytest.raises(ConfigurationError) as caught:
        checked(own)
    return caught.value


def test_a_plugins_table_becomes_its_config_with_the_secret_resolved(write, monkeypatch):
    monkeypatch.setenv("CANARY", "canary-secret")
    config = checked(table(write, 'key = { env = "CANARY" }'))
    assert config.key.get_secret_value() == "canary-secret"
    assert "canary-secret" not in repr(config)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"renew": 1}, "renew: must be true or false"),
        ({"inner": {"port": "9001"}}, "inner.port: must be a whole number"),
        ({"inner": {"port": True}}, "inner.port: must be a whole number"),
        ({"inner": {"seconds": "2"}}, "inner.seconds: must be a number"),
    ],
)
def test_a_wrong_type_in_a_plugins_table_is_refused(monkeypatch, own, told):
    monkeypatch.setenv("CANARY", "x")
    whole = {"url": "x", "key": {"env": "CANARY"}}
    assert told in str(plugin_refusal({**whole, **own}))
    assert checked({**whole, "inner": {"port": 9001, "seconds": 2}}).inner.seconds == 2


def test_an_environment_variable_of_a_plugins_table_may_be_a_number_as_text(monkeypatch):
    monkeypatch.setenv("CANARY", "x")
    monkeypatch.setenv("ILS_PAYMENT__LIBRARIES__TOWN__LIBRARY_SYSTEM__INNER__PORT", "9001")
    assert checked({"url": "x", "key": {"env": "CANARY"}, "inner": {"port": "9001"}}).inner.port == 9001


SECRETS = {
    'key = "canary-secret"': "must not stand here in clear",
    "key = { env = 'UNSET_VARIABLE' }": "UNSET_VARIABLE is not set",
    "key = { env = 'canary-secret' }": "name of an environment variable",
    "key = { env = 'canary_secret' }": "name of an environment variable",
    "key = { file = 'canary-secret' }": "absolute path",
    "key = { file = '/nowhere/key' }": "cannot be read",
    "key = { credential = '51aa32d1-5e32-4ccc-9f62-canary' }": "credential wants a short name",
    "key = { credential = '../canary' }": "credential wants a short name",
    "key = { credential = 'koha-secret' }": "systemd gave this program no credentials",
    "key = { clear = 'canary-secret' }": "env",
    "key = 17": "env",
    "keys = ['canary-secret']": "must not stand here in clear",
    "kee = 'canary-secret'": "Did you mean key?",
}


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_that_cannot_be_had_is_told_without_its_value(write, text):
    error = plugin_refusal(table(write, text))
    assert "line 9" in str(error)
    assert SECRETS[text] in str(error)
    assert "libraries.town.library_system.k" in str(error)
    assert "canary" not in str(error)


def test_a_secret_file_that_everybody_may_read_is_refused_with_the_command_that_helps(write, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("canary-secret\n", encoding="utf-8")
    secret.chmod(0o644)
    own = table(write, f"key = {{ file = '{secret}' }}")
    error = plugin_refusal(own)
    assert error.mend == f"Type: chmod o-r {secret}"
    assert "canary" not in str(error)
    secret.chmod(0o640)
    assert checked(own).key.get_secret_value() == "canary-secret"


def test_a_configuration_that_the_service_may_not_read_is_told_with_what_to_type(write, monkeypatch):
    path = write()

    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(ConfigurationError, match="Permission denied") as caught:
        load_settings(path)
    assert f"chgrp ils-payment {path} && chmod 640 {path}" in caught.value.mend


def test_a_credential_of_systemd_is_read_by_whichever_unit_runs(write, tmp_path, monkeypatch):
    own = table(write, 'key = { credential = "koha-secret" }')
    for unit in ("ils-payment.service", "run-u42.service"):
        folder = tmp_path / unit
        folder.mkdir()
        (folder / "koha-secret").write_text(f"{unit}\n", encoding="utf-8")
        (folder / "koha-secret").chmod(0o400)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        assert checked(own).key.get_secret_value() == unit
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/ils-payment.service")
    told = plugin_refusal(own)
    assert "koha-secret cannot be read" in told.what
    assert "LoadCredential=" in told.mend


def test_live_mode_needs_contact_pages_receipt_staff_and_mail(write):
    settings = load_settings(write())
    check_live(settings, set())
    with pytest.raises(ConfigurationError) as caught:
        check_live(settings, {"town"})
    for key in ("contact", "pages", "receipt", "staff_email"):
        assert f"libraries.town.{key}: is needed" in caught.value.what
    assert "mail: is needed" in caught.value.what


def test_live_mode_starts_when_all_is_there(write):
    more = """
[mail]
host = "mail.example"
sender = "pay@library.example"
[libraries.town.contact]
phone = "07032 1234"
mail = "info@library.example"
hours = "Mon-Fri"
[libraries.town.pages]
imprint_url = "https://x.example/imprint"
privacy_url = "https://x.example/privacy"
accessibility_url = "https://x.example/access"
[libraries.town.receipt]
authority = "Town"
address = ["Street 1", "12345 Town"]
tax_note = "No VAT."
"""
    path = write(GOOD + more, **{'name = "Town': 'staff_email = "staff@library.example"\nname = "Town'})
    check_live(load_settings(path), {"town"})


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [("logo.gif", 10, "SVG or PNG"), ("absent.svg", None, "there is no file"), ("logo.svg", 25_001, "25 kB")],
)
def test_a_logo_that_pages_cannot_carry_is_refused(tmp_path, name, size, told):
    if size is not None:
        (tmp_path / name).write_bytes(b"x" * size)
    links = dict.fromkeys(("imprint_url", "privacy_url", "accessibility_url"), "https://library.example/x")
    with pytest.raises(ValueError, match=told):
        Pages.model_validate({**links, "logo": str(tmp_path / name)})
