"""A slice of ``make failpoints``: every scenario undisturbed, and some deaths in four of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.faults.failpoints import drop, never_passed, play, play_scenario, same_deaths, template
from tests.faults.failpoints_stage import Death
from tests.faults.scenarios import every_scenario

SLICES = {"card": 4, "koha_500_booked": 6, "koha_500_not_booked": 9, "start_answer_lost": 6}
"""Scenarios, and of how many deaths one is died here."""


@pytest.fixture(scope="module")
def empty_ledger() -> Iterator[Path]:
    with template() as path:
        yield path


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(processors=[drop])
    yield
    structlog.reset_defaults()


@pytest.mark.timeout(900)
def test_every_scenario_ends_as_it_says_and_together_they_pass_every_failpoint(empty_ledger, capsys):
    passed = set()
    scenarios = every_scenario()
    for name, scenario in scenarios.items():
        stage, ended = play(scenario, empty_ledger)
        assert sorted(ended) == sorted(scenario.ends), name
        passed |= set(stage.passed)
    assert len(scenarios) >= 30
    assert sum(scenario.money for scenario in scenarios.values()) == 10
    assert never_passed(passed) == []
    with capsys.disabled():
        # How many there are is counted, not claimed.
        print(f"\n  {len(scenarios)} scenarios, {len(passed)} failpoints", end="")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SLICES)
def test_the_program_dies_and_lives_on(empty_ledger, name):
    outcome = play_scenario(every_scenario()[name], empty_ledger, every=SLICES[name], pairs=1)
    assert outcome.problems == []
    assert outcome.covered >= outcome.runs >= 4
    assert outcome.pairs == 1


def test_deaths_between_the_same_two_effects_are_one():
    log = ["pass", "pass", "effect", "pass", "step", "pass", "world", "pass", "effect", "step"]
    assert same_deaths(log) == [
        [Death(0, after=False), Death(1, after=False)],
        [Death(0, after=True), Death(1, after=True), Death(2, after=False), Death(2, after=True)],
        [Death(3, after=False)],
        [Death(4, after=False)],
        [Death(3, after=True), Death(4, after=True)],
    ]


def test_a_failpoint_that_no_scenario_passes_is_named():
    assert "koha.settle.before" in never_passed(["settle.applied"])
    assert "settle.{what}" not in never_passed(["settle.unclear"])


def test_a_decision_outlives_a_death_before_the_payment_is_given_back(empty_ledger):
    scenario = every_scenario()["settled_again_by_a_clerk"]
    stage, _ = play(scenario, empty_ledger)
    place = stage.passed.index("decide.done")
    stage, ended = play(scenario, empty_ledger, (Death(place, after=False),))
    assert stage.died == ["decide.done"]
    assert ended == ["settled"]
