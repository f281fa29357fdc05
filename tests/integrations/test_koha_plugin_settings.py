"""The settings of the Koha plugin: what may be saved, that its secret is shown nowhere; the packed file."""

from __future__ import annotations

import os
import re
import zipfile

import pytest

import ils_payment
from tests.integrations.conftest import SETTINGS
from tests.integrations.koha_opac import packed
from tests.web.doors import SECRET

OTHER_SECRET = "another-secret-of-more-than-32-characters"


def shown(koha):
    return koha.ask("configure").printed


def test_a_plugin_without_settings_offers_nothing(bare_koha):
    assert not bare_koha.ask("opac_online_payment").returned
    bare_koha.configure(**SETTINGS)
    assert bare_koha.ask("opac_online_payment").returned


@pytest.mark.parametrize("missing", ["address", "issuer", "kid", "secret"])
def test_a_plugin_with_a_setting_missing_offers_nothing(bare_koha, missing):
    bare_koha.configure(**SETTINGS)
    bare_koha.data[missing] = ""
    assert not bare_koha.ask("opac_online_payment").returned


def test_settings_are_shown_again_except_for_the_secret(bare_koha):
    assert "ist nicht gesetzt" in shown(bare_koha)
    bare_koha.configure(**SETTINGS)
    page = bare_koha.ask("configure")
    for name in ("address", "issuer", "kid"):
        assert page.field(name) == SETTINGS[name]
    assert page.field("secret") == ""
    assert "ist gesetzt" in page.printed
    bare_koha.language = "en"
    assert "is set. Leave empty to keep it" in shown(bare_koha)


def test_the_secret_stands_in_no_page_no_log_and_not_in_clear_in_the_database(bare_koha):
    answers = [
        bare_koha.configure(**SETTINGS),
        bare_koha.configure(**{**SETTINGS, "address": "wrong"}),
        bare_koha.configure(**{**SETTINGS, "csrf_token": "forged"}),
        bare_koha.ask("configure"),
        bare_koha.ask("opac_online_payment"),
    ]
    bare_koha.encryption_key = None
    answers.append(bare_koha.configure(**SETTINGS))
    everything = str(bare_koha.data) + "".join(answer.printed + answer.log for answer in answers)
    for form in (SECRET, SECRET.encode().hex()):
        assert form not in everything
    assert bare_koha.data["secret"]


def test_an_empty_field_keeps_the_secret_and_a_new_one_replaces_it(bare_koha):
    bare_koha.configure(**SETTINGS)
    before = bare_koha.data["secret"]
    bare_koha.configure(**{**SETTINGS, "kid": "opac-2", "secret": ""})
    assert (bare_koha.data["secret"], bare_koha.data["kid"]) == (before, "opac-2")
    bare_koha.configure(**{**SETTINGS, "secret": OTHER_SECRET})
    assert bare_koha.data["secret"] != before


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("address", "http://pay.lindental.example/lindental"),
        ("address", "https://pay.lindental.example"),
        ("address", "https://pay.lindental.example/lindental/"),
        ("address", 'https://pay.lindental.example/"><script>'),
        ("address", "javascript:alert(1)"),
        ("issuer", ""),
        ("kid", "two words"),
        ("secret", ""),
        ("secret", "too short"),
        ("secret", "ü" * 40),
        ("threshold", "1,00"),
        ("threshold", "-1"),
    ],
)
def test_a_wrong_setting_is_explained_and_nothing_is_saved(bare_koha, name, typed):
    bare_koha.ask("opac_online_payment")
    before = dict(bare_koha.data)
    answer = bare_koha.configure(**{**SETTINGS, name: typed})
    assert 'role="alert"' in answer.printed
    assert bare_koha.data == before
    assert answer.field(name) == ("" if name == "secret" else typed)
    assert "<script>" not in answer.printed


def test_a_form_from_another_site_saves_nothing(bare_koha):
    bare_koha.configure(**SETTINGS)
    before = dict(bare_koha.data)
    evil = {**SETTINGS, "address": "https://evil.example/lindental", "save": "1"}
    for forged in ({}, {"csrf_token": "guessed"}):
        answer = bare_koha.ask("configure", **evil, **forged)
        assert "Formular ist abgelaufen" in answer.printed
    assert bare_koha.data == before


def test_a_koha_without_an_encryption_key_is_told_to_get_one(bare_koha):
    bare_koha.encryption_key = "__ENCRYPTION_KEY__"
    answer = bare_koha.configure(**SETTINGS)
    assert "encryption_key in koha-conf.xml" in answer.printed
    assert "secret" not in bare_koha.data


def test_the_smallest_sum_is_what_the_clerk_wrote_or_none(bare_koha):
    bare_koha.configure(**SETTINGS)
    assert bare_koha.ask("opac_online_payment_threshold").returned == 0
    bare_koha.configure(**SETTINGS, threshold="1.00")
    assert bare_koha.ask("opac_online_payment_threshold").returned == "1.00"


def test_removing_the_plugin_forgets_the_secret(bare_koha):
    bare_koha.configure(**SETTINGS)
    assert bare_koha.ask("uninstall").returned
    assert bare_koha.data["secret"] == ""


def test_an_upgrade_keeps_the_settings(bare_koha):
    bare_koha.configure(**SETTINGS)
    bare_koha.data["__INSTALLED_VERSION__"] = "0.0.1"
    assert bare_koha.ask("opac_online_payment").returned
    assert bare_koha.data["__INSTALLED_VERSION__"] == ils_payment.__version__


# --- the packed file -----------------------------------------------------------------------------


def test_the_same_sources_give_the_same_file_to_the_byte(tmp_path):
    first = packed(tmp_path / "first")
    before = os.umask(0o077)
    try:
        second = packed(tmp_path / "second")
    finally:
        os.umask(before)
    assert first.name == second.name == f"ils-payment-{ils_payment.__version__}.kpz"
    assert first.read_bytes() == second.read_bytes()


def test_the_file_holds_the_plugin_where_koha_looks_for_it_and_nothing_else(tmp_path):
    with zipfile.ZipFile(packed(tmp_path)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "Koha/Plugin/ILSPayment/Token.pm",
            "Koha/Plugin/ILSPayment/configure.tt",
            "Koha/Plugin/ILSPayment/opac.tt",
            "Koha/Plugin/ILSPayment.pm",
        ]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
        source = archive.read("Koha/Plugin/ILSPayment.pm").decode()
    assert f"our $VERSION = '{ils_payment.__version__}';" in source
    assert "{VERSION}" not in source


def test_every_variable_in_a_template_is_escaped(plugins):
    for template in plugins.rglob("*.tt"):
        said = re.findall(r"\[%[-+]?\s*(.*?)\s*[-+]?%\]", template.read_text(encoding="utf-8"), re.DOTALL)
        known = re.compile(r"IF \w+|ELSE|END|\w+ \| html|INCLUDE '[\w-]+\.inc'|#.*", re.DOTALL)
        assert [one for one in said if not known.fullmatch(one)] == []
