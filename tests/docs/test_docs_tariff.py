"""``docs/tariff.md`` says what the code does: every key, every refusal, and an example that can be meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ils_payment.cli.docs import written
from ils_payment.config.tariff import TariffTable
from ils_payment.config.tariff_file import load_tariff
from ils_payment.domain.tariff_words import WHY_NOT
from tests.docs.test_docs_configuration import models_in

PAGE = Path(__file__).parents[2] / "docs" / "tariff.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_tables_are_as_the_code_has_them(page):
    assert written(page) == page, "type: python -m ils_payment.cli.docs docs/tariff.md"


@pytest.mark.parametrize("model", sorted(models_in(TariffTable), key=str))
def test_every_key_is_described_and_stands_on_the_page(page, model):
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no description"
        if not models_in(field.annotation):
            assert f"| `{name}` |" in page, name


def test_the_example_of_the_page_contradicts_nothing(page, tmp_path):
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "tariff.toml"
    path.write_text(text, encoding="utf-8")
    [version] = load_tariff(path).versions
    assert {one.key for one in version.categories} == {"adult", "student"}


def test_every_refusal_is_explained(page):
    table = page.partition("| the patron reads why |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"why", "lead_days", "grace_days", "evidence"} == set(
        WHY_NOT
    )


def test_every_way_to_write_an_amount_is_accepted(page, tmp_path):
    table = page.partition("| the by-law says | write |")[2].partition("\n\n")[0]
    lines = re.findall(r"\{ [^}]*\}", table)
    assert len(lines) > 4
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    second = '{ letter = 2, amount = "1.00" }'
    amounts = f"amounts = [{', '.join([*lines, second])}]"
    path = tmp_path / "tariff.toml"
    path.write_text(re.sub(r"amounts = \[.*\]", amounts, text), encoding="utf-8")
    assert len(load_tariff(path).versions[0].kinds["overdue"].amounts) == len(lines) + 1
