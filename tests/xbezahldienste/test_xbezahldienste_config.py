"""What an administrator may write, and what each mistake is told."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from tests.xbezahldienste.conftest import config_for

URL = "https://epayment.example/xbezahldienste/api/v1.0.0/"
NOT_BASIC = {"user": None, "password": None}


def said(**changes):
    with pytest.raises(ValidationError) as raised:
        config_for(**{"url": URL, **changes})
    return str(raised.value)


def test_the_base_address_has_no_slash_at_its_end_and_names_the_origin_of_the_page():
    config = config_for(URL)
    assert config.base == "https://epayment.example/xbezahldienste/api/v1.0.0"
    assert config.origins == ("https://epayment.example",)
    assert config.certificate is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"url": "http://epayment.example/"}, "only https"),
        ({"url": "https://user:pw@epayment.example/"}, "without user"),
        ({"url": "epayment.example"}, "write an address"),
        ({"url": f"{URL}?x=1"}, "without user and query"),
        ({"originator_id": "bücherei"}, "String should match"),
        ({"end_point_id": "a/../b"}, "String should match"),
        ({"originator_id": "x" * 37}, "String should match"),
        ({"purpose": "BÜCHEREI"}, "String should match"),
        ({"purpose": "STADTBUECHEREI"}, "at most 13"),
        ({"page_origins": ["https://paypage.example/x"]}, "scheme and host only"),
        ({"page_origins": ["http://paypage.example"]}, "only https"),
        ({"booking_data": {"HHST": "{cost_center}"}}, "only {cost_centre} and {account}"),
        ({"booking_data": {"HHST": "{account.__class__}"}}, "only {cost_centre} and {account}"),
        ({"booking_data": {"HHST": "{account!r}"}}, "only {cost_centre} and {account}"),
        ({"booking_data": {"HHST": "{account:>99999999}"}}, "only {cost_centre} and {account}"),
        ({"booking_data": {"HHST": "{0}"}}, "only {cost_centre} and {account}"),
        ({"booking_data": {"HHST": "{"}}, "a brace { stands alone"),
        ({"booking_data": {"HH ST": "x"}}, "letters, digits"),
        ({"authentication": "token"}, "'certificate', 'oauth2' or 'basic'"),
        ({"authentication": "oauth2", **NOT_BASIC}, "needs token_url and client_id and client_secret"),
        ({"password": None}, "needs password"),
        ({"client_id": "x"}, 'belongs to authentication = "oauth2"'),
        ({"password": "clear"}, "must not stand here in clear"),
        ({"token_url": "http://tokens.example/"}, "only https"),
        ({"client_key": "relative.key"}, "absolute path"),
        ({"client_certificate": "/nowhere/at/all.pem"}, "cannot be read"),
        ({"surname": "x"}, "Extra inputs"),
    ],
)
def test_each_mistake_is_told(changes, what):
    assert what in said(**changes)


def test_a_key_that_everybody_may_read_is_refused(tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    certificate.write_text("x")
    key.write_text("x")
    key.chmod(0o644)
    files = {"client_certificate": str(certificate), "client_key": str(key)}
    assert f"chmod o-r {key}" in said(authentication="certificate", **NOT_BASIC, **files)
    key.chmod(0o600)
    config = config_for(URL, authentication="certificate", **NOT_BASIC, **files)
    assert config.certificate == (str(certificate), str(key))


def test_secrets_are_shown_as_stars():
    config = config_for(URL, password=SecretStr("CANARY"))
    assert "CANARY" not in repr(config)


def test_braces_that_are_meant_can_be_written():
    config = config_for(URL, booking_data={"Text": "{{fest}} {account}"})
    assert config.booking_data == {"Text": "{{fest}} {account}"}
