"""``docs/configuration.md`` says what the code does: every key, and an example that loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ils_payment.cli.docs import written
from ils_payment.config import Settings
from ils_payment.errors import ConfigurationError
from ils_payment.loading import check_live, check_plugin_tables, load_settings
from ils_payment.plugins import Plugins

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_tables_are_as_the_code_has_them(page):
    assert written(page) == page, "type: python -m ils_payment.cli.docs docs/configuration.md"


def test_a_page_that_differs_is_noticed(page):
    assert "`8480`" in page
    assert written(page.replace("`8480`", "`8481`")) == page


def models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = {annotation}
        for field in annotation.model_fields.values():
            inner |= models_in(field.annotation)
        return inner
    return {model for part in get_args(annotation) for model in models_in(part)}


def all_models() -> set[type[BaseModel]]:
    plugins = Plugins({"adyen", "koha", "stripe", "xbezahldienste"})
    providers = {plugins.provider(name).Config for name in ("adyen", "stripe", "xbezahldienste")}
    return models_in(Settings) | {plugins.library_system("koha").Config} | providers


@pytest.mark.parametrize("model", sorted(all_models(), key=str))
def test_every_key_is_described_and_stands_on_the_page(page, model):
    for name, field in model.model_fields.items():
        if models_in(field.annotation):
            assert re.search(rf"^### `\[+([a-zA-Z_.]+\.)?{name}(\.KEY)?\]+`$", page, re.MULTILINE), name
            continue
        assert field.description, f"{model.__name__}.{name} has no description"
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        row = next((row for row in rows if field.description.replace("|", "\\|") in row), None)
        assert row, f"{model.__name__}.{name} is not on the page"
        assert ("**required**" in row) == (field.is_required() and "`KEY`" not in row)


@pytest.fixture
def example(page, tmp_path, monkeypatch):
    [text] = [
        block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if block.startswith("[server]")
    ]
    for name in ("MAIL_PASSWORD", "KOHA_CLIENT_SECRET"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("STRIPE_API_KEY", "rk_live_123")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_123")
    monkeypatch.setenv("OPAC_SECRET", "0123456789abcdef0123456789abcdef")
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_loads_and_is_enough_for_real_money(example):
    settings = load_settings(example)
    check_plugin_tables(settings, Plugins(settings.plugin_names()))
    check_live(settings, {"town"})


def test_the_environment_of_the_page_overrides_the_example(page, example, monkeypatch):
    [block] = re.findall(r"```sh\n(ILS_PAYMENT__.*?)```", page, re.DOTALL)
    for line in block.splitlines():
        name, value = line.split("=", 1)
        monkeypatch.setenv(name, value.strip("'"))
    settings = load_settings(example)
    assert settings.server.port == 8481
    assert settings.server.trusted_proxies == ("10.0.0.0/8",)


def test_the_message_of_the_page_is_the_programs_own(page, example):
    [error, mend] = re.findall(r"^(?:Error|What to do): (.*)$", page, re.MULTILINE)
    text = example.read_text(encoding="utf-8")
    example.write_text(text.replace("public_url", "publik_url"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(example)
    assert caught.value.what.replace(str(example), "/etc/ils-payment/config.toml") == error
    assert caught.value.mend == mend


def test_every_command_and_path_of_the_page_exists(page):
    from ils_payment.cli.main import COMMANDS

    for command in re.findall(r"`ils-payment ([a-z]+)", page):
        assert command in COMMANDS
