"""Reading a tariff: what is wrong in the file is told with its key, its line and the mend."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ils_payment.config.tariff_file import load_tariff, read_tariff
from ils_payment.domain.by_law import Start
from ils_payment.domain.tariff_check import contradictions
from ils_payment.errors import ConfigurationError
from ils_payment.model import Level

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "tariffs").glob("*.toml"))

SMALL = """\
currency = "EUR"

[[versions]]
valid_from = 2026-01-01
grace_days = 90
period = { months = 12 }
[versions.kinds.annual_fee]
label = { de = "Jahresgebühr", en = "Annual fee" }
codes = ["ACCOUNT"]

[versions.kinds.overdue]
label = "Säumnisgebühr"
amounts = [{ amount = "0.50", per = ["item", "started_week"] }]

[versions.categories.adult]
label = "Erwachsene"
codes = ["ADULT"]
ages = [
  { age_to = 17, amount = "0.00" },
  { age_from = 18, amount = "10.00" },
]

[versions.categories.child]
label = "Kinder"
amount = "0.00"
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str) -> Path:
        path = tmp_path / "tariff.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new, 1)


def refused(path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_tariff(path)
    return caught.value


def test_a_file_becomes_versions_categories_and_kinds(write):
    [version] = load_tariff(write(SMALL)).versions
    adult, child = version.categories
    assert version.valid_from == date(2026, 1, 1)
    assert [(band.from_age, band.to_age, band.cents) for band in adult.bands] == [
        (0, 17, 0),
        (18, None, 1000),
    ]
    assert (adult.period.months, adult.period.start) == (12, Start.LATER)
    assert (adult.lead_days, adult.grace_days) == (60, 90)
    assert child.codes == ("child",)
    assert not child.by_age
    assert version.kinds["overdue"].amounts[0].cents == 50
    assert version.kind("ACCOUNT") is version.kinds["annual_fee"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_contradict_nothing(path):
    assert contradictions(read_tariff(path).tariff) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "mend"),
    [
        ('amount = "10.00"', 'amount = "10.005"', 18, "more decimals than EUR", "Correct the amount"),
        ('amount = "10.00"', "amount = 10.00", 18, "must be a text", "quotation marks"),
        ('amount = "10.00"', 'amount = "-27.00"', 18, "must not be negative", "without the minus sign"),
        ('amount = "10.00"', 'amount = "ten"', 18, "is no amount", "decimal point"),
        ('amount = "10.00"', 'price = "10.00"', 18, "is not a key of this table", ""),
        ('currency = "EUR"', 'currency = "EURO"', 1, "not an ISO 4217", ""),
        ('currency = "EUR"', 'currency = "JPY"', 13, "more decimals than JPY", "or the currency"),
        ("2026-01-01", '"soon"', 4, "valid_from: is no date", "2026-01-01"),
        ("grace_days = 90", "grace_day = 90", 5, "is not a key of this table", "Did you mean grace_days?"),
        (
            "period = { months = 12 }",
            "period = { to = '02-30' }",
            6,
            "is a day that no year has",
            "month and day",
        ),
        (
            "period = { months = 12 }",
            "period = { to = '02-29' }",
            6,
            "is a day that most years have not",
            "02-28",
        ),
        ("period = { months = 12 }", "period = { to = '31.12.' }", 6, "is no day of the year", "12-31"),
        (
            "period = { months = 12 }",
            "period = { months = 12, days = 3 }",
            6,
            "a period is months",
            "exactly one",
        ),
        ("period = { months = 12 }", "period = { months = 0 }", 6, "must be at least 1", "from 1 to 120"),
        (
            "period = { months = 12 }",
            "period = { months = '12' }",
            6,
            "must be a whole number",
            "months = 12",
        ),
        ("grace_days = 90", "grace_days = '90'", 5, "must be a whole number", ""),
        (
            "period = { months = 12 }",
            "",
            3,
            "nothing says for how long a card is renewed (adult, child)",
            "below",
        ),
        ("[[versions]]", "[versions]", 3, "must be a list of tables", "Write [[versions]]"),
        (
            "[versions.categories.child]",
            "[versions.categorys.child]",
            23,
            "is not a key of",
            "mean categories",
        ),
        ('per = ["item",', 'per = ["items",', 13, "must be 'item'", ""),
        ('{ amount = "0.50", per', "{ per", 13, "an amount or the actual cost", "actual_cost"),
        ('{ age_to = 17, amount = "0.00" }', "{ age_to = 17 }", 18, "a price or a reason", "amount or why"),
        ('"ADULT"]', '"ADULT"]\namount = "1.00"', 15, "one amount or prices by age", "Remove amount or ages"),
        ('label = "Kinder"\namount = "0.00"', 'label = "Kinder"', 23, "needs a price", "Give amount or ages"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(write, old, new, line, what, mend):
    error = refused(write(changed(old, new)))
    assert f"line {line}" in error.what
    assert what in error.what
    assert mend in error.mend


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("age_to = 17", "age_to = 15", 18, "no price for the age 16 to 17"),
        ("age_to = 17", "age_to = 16", 18, "no price for the age 17"),
        ("age_to = 17", "age_to = 20", 18, "two prices for the age 18 to 20"),
        ("age_to = 17,", "", 18, "two prices for the age 18 and older"),
        ("age_to = 17", "age_from = 3, age_to = 17", 18, "no price for the age 0 to 2"),
        ("age_to = 17", "age_from = 17, age_to = 3", 18, "ends at 3, before 17"),
        ("age_from = 18", "age_from = 18, age_to = 64", 18, "no price for the age 65 and older"),
        ('label = "Erwachsene"', 'label = "E"\nkind = "fee"', 17, "there is no fee kind 'fee'"),
        ('label = "Kinder"', 'label = "K"\ncodes = ["ADULT"]', 25, "'ADULT' means adult as well"),
        ('label = "Säumnisgebühr"', 'label = "S"\ncodes = ["ACCOUNT"]', 13, "means annual_fee as well"),
        ('label = "Kinder"', 'label = "K"\nonline = false', 25, "is false without a reason"),
        ('label = "Säumnisgebühr"', 'label = "S"\nonline = false', 13, "is false without a reason"),
        (
            'codes = ["ACCOUNT"]',
            'online = false\nwhy = "x"',
            16,
            "its fee kind annual_fee is not paid online",
        ),
        ('"started_week"]', '"started_week"], letter = 2', 7, "has the reminder letters 2"),
        ('["item", "started_week"]', '["item"], free_weeks = 1', 13, "leaves weeks free"),
        ('"started_week"]', '"started_week"], overdue_weeks = 6', 13, "belongs to a reminder letter"),
        (
            'per = ["item", "started_week"]',
            "letter = 1, overdue_weeks = 6",
            13,
            "no fee kind costs something",
        ),
        (
            "grace_days = 90\nperiod = { months = 12 }",
            "grace_days = 62\nperiod = { months = 2, start = 'expiry' }",
            5,
            "is over 62 days",
        ),
        ("period = { months = 12 }", "period = { days = 30, start = 'expiry' }", 5, "the grace is longer"),
    ],
)
def test_a_contradiction_is_told_with_its_line(write, old, new, line, what):
    error = refused(write(changed(old, new)))
    assert what in error.what.replace("\n", " ")
    assert f"line {line}:" in error.what
    assert error.mend


def test_two_versions_of_one_day_contradict_each_other(write):
    twice = SMALL + SMALL.partition("\n")[2]
    error = refused(write(twice))
    assert "versions[1].valid_from: version 1 begins on the same day, 2026-01-01" in error.what


def test_several_problems_are_told_together_in_the_order_of_the_file(write):
    text = changed("age_to = 17", "age_to = 15").replace(
        'label = "Säumnisgebühr"', 'label = "S"\nonline = false'
    )
    error = refused(write(text))
    assert error.what.index("without a reason") < error.what.index("age 16 to 17")
    assert "docs/tariff.md" in error.mend


def test_what_is_odd_but_can_be_meant_is_a_warning(write):
    text = changed('label = "Kinder"', 'label = "K"\nwhy = "x"\nperiod = { days = 30 }').replace(
        "grace_days = 90", "grace_days = 90\nlead_days = 30"
    )
    later = SMALL.partition("\n")[2].replace("2026-01-01", "2027-01-01").replace('"ADULT"', '"GROWN"')
    found = contradictions(read_tariff(write(text + later)).tariff)
    assert {one.level for one in found} == {Level.WARNING}
    assert [one.what.partition(",")[0] for one in found] == [
        "says why not online",
        "a card of 30 days could be renewed again right after it was renewed",
        "does not know ADULT any more",
    ]
    assert load_tariff(write(text + later)).versions[1].name == "2027-01-01"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[versions\n", "is not valid TOML"),
        (SMALL.encode() + b"[versions.categories.adult]\n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"", "versions: is missing"),
        (b"versions = 3", "versions"),
        (b"currency = 3\nversions = []", "currency: must be a text"),
    ],
)
def test_what_is_no_tariff_at_all_is_told(tmp_path, content, what):
    path = tmp_path / "tariff.toml"
    path.write_bytes(content)
    assert what in refused(path).what


def test_a_file_that_is_not_there_or_cannot_be_read_is_told(tmp_path):
    assert "There is no tariff file" in refused(tmp_path / "none.toml").what
    assert "cannot be read" in refused(tmp_path).what


def test_a_period_in_each_category_is_enough_and_one_in_some_is_not(write):
    own = changed("period = { months = 12 }", "").replace(
        'amount = "0.00"\n', 'amount = "0.00"\nperiod.days = 30\n'
    )
    assert "how long a card is renewed (adult)" in refused(write(own)).what
    both = own.replace('codes = ["ADULT"]', 'codes = ["ADULT"]\nperiod.months = 3')
    assert [one.period.months for one in load_tariff(write(both)).versions[0].categories] == [3, None]


def test_a_number_with_a_comma_is_told_how_decimals_are_written(write):
    error = refused(write(changed('amount = "0.00"', "amount = 9,00")))
    assert "is not valid TOML" in error.what
    assert error.mend.endswith('Decimals are written with a point and in quotation marks: "9.00".')


def test_days_that_a_category_takes_from_elsewhere_are_told_where_they_stand(write):
    text = changed("period = { months = 12 }", "period = { days = 30 }")
    read = read_tariff(write(text))
    defaults = [read.placed(one) for one in contradictions(read.tariff)]
    assert [one.key for one in defaults] == [("versions", 0, "categories", key) for key in ("adult", "child")]
    assert all("60 days" in one.what and "its default" in one.what for one in defaults)
    read = read_tariff(write(text.replace("grace_days = 90", "lead_days = 40")))
    places = [read.placed(one) for one in contradictions(read.tariff)]
    assert {one.key for one in places} == {("versions", 0, "lead_days")}
    assert ["adult" in one.what for one in places] == [True, False]
    read = read_tariff(write(text.replace('label = "Kinder"', 'label = "K"\nlead_days = 50')))
    [_, own] = [read.placed(one) for one in contradictions(read.tariff)]
    assert own.key == ("versions", 0, "categories", "child", "lead_days")


def test_how_early_a_card_could_be_renewed_is_no_question_where_it_is_not_renewed_online(write):
    day = 'label = "Kinder"\nperiod = { days = 1 }\nonline = false\nwhy = "x"'
    assert contradictions(read_tariff(write(changed('label = "Kinder"', day))).tariff) == []
