"""``tariff check`` and ``tariff quote``: exit codes, words, JSON; against a simulated Koha over HTTP too."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ils_payment.cli.demo_start import staged
from ils_payment.cli.tariff_findings import compared
from ils_payment.domain.by_law import Band
from ils_payment.errors import RemoteRefusedError
from ils_payment.flows.category_fees import CategoryFees
from ils_payment.model import CategoryFee, Level
from tests.domain.test_card_quotes import ADULT, TODAY, tariff
from tests.web.exhibition import LIBRARY, desk

EXAMPLES = Path(__file__).parents[2] / "examples" / "tariffs"
TOWN = EXAMPLES / "town-library.toml"
BOB = ("--file", TOWN, "--on", "2026-11-25", "--valid-until", "2026-12-10")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with staged(tmp_path_factory.mktemp("stage"), 0) as running:
        yield running


@pytest.fixture
def config(stage, tmp_path):
    """The configuration of the stage with a tariff of its own."""
    folder = Path(stage.house.settings.server.database.removeprefix("sqlite:///")).parent
    text = (folder / "config.toml").read_text(encoding="utf-8")
    own = tmp_path / "tariff.toml"
    # The patrons of the demonstration have no date of birth, as in some library systems.
    ages = re.compile(r'codes = \["ADULT"\]\nages = \[.*?^\]', re.DOTALL | re.MULTILINE)
    text_of = ages.sub('codes = ["ERW"]\namount = "10.00"', TOWN.read_text(encoding="utf-8"))
    own.write_text(text_of, encoding="utf-8")
    path = tmp_path / "config.toml"
    lines = [line for line in text.splitlines() if not line.startswith("tariff =")]
    lines.insert(lines.index("[libraries.lindental]") + 1, f'tariff = "{own}"')
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_is_without_error(ils_payment, path):
    ran = ils_payment("tariff", "check", path, "--on", "2026-11-25")
    assert (ran.code, ran.err) == (0, "")
    assert "is in force on 2026-11-25" in ran.out


def test_a_contradiction_is_exit_1_with_line_and_mend(ils_payment, tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(TOWN.read_text(encoding="utf-8").replace("age_to = 17", "age_to = 15"), encoding="utf-8")
    ran = ils_payment("tariff", "check", path, "--json")
    assert ran.code == 1
    errors = [one for one in json.loads(ran.out) if one["level"] == "error"]
    assert [one["key"] for one in errors] == [
        f"versions[0].categories.{key}.ages" for key in ("adult", "partner", "young")
    ]
    assert all("age 16 to 17" in one["seen"] and one["line"] and one["mend"] for one in errors)


def test_what_cannot_be_read_is_exit_1(ils_payment, tmp_path):
    assert "There is no tariff file" in ils_payment("tariff", "check", tmp_path / "x.toml").err
    ran = ils_payment("tariff", "check")
    assert ran.code == 1
    assert "ils-payment tariff check FILE" in ran.err


def test_a_tariff_that_has_not_begun_is_a_warning(ils_payment):
    ran = ils_payment("tariff", "check", TOWN, "--on", "2025-12-31", "--json")
    assert ran.code == 0
    [only] = json.loads(ran.out)
    assert (only["level"], "begins on 2026-01-01" in only["seen"]) == ("warning", True)


def test_a_library_that_tells_no_prices_is_said_not_to_have_been_compared(ils_payment, config):
    ran = ils_payment("--config", config, "tariff", "check", "--library", "lindental", "--json")
    assert ran.code == 0
    assert any("nothing was compared" in one["seen"] for one in json.loads(ran.out))
    assert ils_payment("--config", config, "tariff", "check", TOWN, "--library", "nowhere").code == 2


def test_a_price_is_told_without_any_configuration(ils_payment):
    ran = ils_payment("tariff", "quote", *BOB, "--category", "ADULT", "--born", "1980-01-01")
    assert ran.code == 0
    assert "10.00 EUR  Annual fee, category ADULT" in ran.out
    assert "Valid until 2026-12-10, then until 2027-12-10" in ran.out
    assert "tariff of 2026-01-01" in ran.out


def test_evidence_ends_a_period(ils_payment):
    asked = ("--category", "STUDENT", "--evidence-until", "2027-03-31", "--json")
    told = json.loads(ils_payment("tariff", "quote", *BOB, *asked).out)
    assert (told["renewable"], told["cents"], told["until"]) == (True, 500, "2027-03-31")


def test_a_refusal_is_an_answer_and_no_error(ils_payment):
    ran = ils_payment("tariff", "quote", *BOB, "--category", "ADULT")
    assert ran.code == 0
    assert "Not renewed online (no_birth_date)" in ran.out
    early = ("tariff", "quote", "--file", TOWN, "--on", "2026-11-25", "--valid-until", "2027-06-01")
    told = json.loads(ils_payment(*early, "--category", "CHILD", "--born", "2020-01-01", "--json").out)
    assert (told["renewable"], told["code"], told["from_day"]) == (False, "too_early", "2027-04-20")


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("--file", TOWN),
        ("--file", TOWN, "--library", "x", "--category", "A"),
        ("--file", TOWN, "--card", "1"),
        ("--file", TOWN, "--card", "1", "--category", "A"),
        ("--file", TOWN, "--category", "A", "--born", "1.2.2003"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(ils_payment, asked):
    ran = ils_payment("tariff", "quote", *asked)
    assert ran.code == 2
    assert ran.err


def test_a_card_is_read_and_nothing_is_changed(ils_payment, config, stage):
    asked = ("--config", config, "tariff", "quote", "--library", "lindental", "--json", "--card")
    ran = ils_payment(*asked, "21234000012376")
    told = json.loads(ran.out)
    assert (ran.code, told["renewable"], told["cents"], told["category"]) == (0, True, 1000, "ERW")
    assert "21234000012376" not in ran.out + ran.err
    nobody = ils_payment(*asked, "999")
    assert nobody.code == 1
    assert "knows no patron with this card" in nobody.err
    assert "999" not in nobody.err


def test_the_tariff_of_a_library_is_asked_without_its_library_system(ils_payment, config):
    asked = ("tariff", "quote", "--library", "lindental", "--category", "ERW", "--born", "1980-01-01")
    assert "10.00 EUR" in ils_payment("--config", config, *asked).out
    assert ils_payment("--config", config, *asked[:3], "nowhere", *asked[4:]).code == 2


class Prices:
    def __init__(self, *fees):
        self.fees = fees

    def category_fees(self):
        if not self.fees:
            raise RemoteRefusedError("Koha refuses.", mend="Give the right.")
        return self.fees


def rows(*fees, of=ADULT, languages=("de",)):
    library = LIBRARY.model_copy(update={"languages": languages})
    known = CategoryFees(Prices(*fees), lambda: 0.0)
    return compared(tariff(of), replace(desk(live=True, library=library), category_fees=known), TODAY)


def fee(cents, category="ADULT", months=None):
    return CategoryFee(category=category, name="", cents=cents, months=months)


def test_another_price_in_the_library_system_is_an_error_that_names_both():
    found = rows(fee(1200, months=6), fee(1000, "A"), of=replace(ADULT, bands=(Band(cents=1000),)))
    [error] = [row for row in found if row.level is Level.ERROR]
    assert error.key == "category ADULT"
    assert error.seen == (
        "costs 10.00 EUR here and 12.00 EUR in the library system; "
        "is renewed for 12 months here and for 6 months in the library system"
    )
    assert "There is one price" in error.mend


def test_categories_that_one_of_the_two_does_not_know_are_warnings():
    found = rows(fee(1000), fee(700, "GUEST"), of=replace(ADULT, bands=(Band(cents=1000),)))
    assert [row.level for row in found] == [Level.WARNING, Level.WARNING, Level.OK]
    assert "does not know these categories: A" in found[0].seen
    assert "GUEST" in found[1].seen


def test_a_library_system_that_refuses_its_prices_is_an_error_with_its_mend():
    [only] = rows()
    assert (only.level, only.seen, only.mend) == (Level.ERROR, "Koha refuses.", "Give the right.")


def test_texts_that_a_language_of_the_library_lacks_are_told():
    found = rows(
        fee(1000), fee(1000, "A"), languages=("de", "en"), of=replace(ADULT, bands=(Band(cents=1000),))
    )
    [missing] = [row for row in found if row.level is Level.WARNING]
    assert missing.seen == "1 text(s) are not there in 'en', e.g. versions[0].categories.adult.label"


def check(ils_payment, tmp_path, *changes, asked=()):
    text = TOWN.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "tariff.toml"
    path.write_text(text, encoding="utf-8")
    return ils_payment("tariff", "check", path, "--on", "2026-11-25", *asked)


def test_nothing_is_said_to_be_well_beside_an_error(ils_payment, tmp_path):
    ran = check(ils_payment, tmp_path, ("age_to = 17", "age_to = 15"), asked=("--json",))
    assert {one["level"] for one in json.loads(ran.out)} == {"error"}


def test_cards_that_wait_for_evidence_are_not_counted_as_renewed_online(ils_payment, tmp_path):
    def seen(*changes):
        told = json.loads(check(ils_payment, tmp_path, *changes, asked=("--json",)).out)
        return " ".join(one["seen"] for one in told if one["level"] == "ok")

    def counted(told):
        return int(re.findall(r"([0-9]+) of them renewed online", told)[0])

    dated = seen()
    none_dated = seen(*[('evidence = "date"', 'evidence = "category"')] * 2)
    assert counted(dated) == counted(none_dated) - 2
    assert 'evidence = "date" sends these cards to the desk' in dated
    assert "sends these cards" not in none_dated


def test_texts_of_one_file_that_differ_in_their_languages_are_told_without_a_library(ils_payment, tmp_path):
    assert "are not there in" not in check(ils_payment, tmp_path).out
    german = ('label = { de = "Jahresgebühr", en = "Annual fee" }', 'label = { de = "Jahresgebühr" }')
    told = json.loads(check(ils_payment, tmp_path, german, asked=("--json",)).out)
    [warning] = [one for one in told if one["level"] == "warning"]
    assert warning["seen"] == "1 text(s) are not there in 'en', e.g. versions[0].kinds.annual_fee.label"


def test_what_a_quote_assumes_is_said_beside_the_answer(ils_payment):
    asked = ("tariff", "quote", "--file", TOWN, "--on", "2026-11-25", "--category", "CHILD", "--json")
    ran = ils_payment(*asked)
    assert "Assumed: the card is valid until 2026-11-25" in ran.err
    assert "renewable" in json.loads(ran.out)
    assert not ils_payment(*asked, "--valid-until", "2026-12-10").err
