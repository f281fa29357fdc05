"""Every plugin under faults, by pairs of it and others; and defects of plugins that the schedules find."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.pairs import planted
from tests.faults.pairs.pairing import LIBRARIES, PLUGINS, PROVIDERS, pair
from tests.faults.pairs.play import play
from tests.faults.simulate import failed_seeds

SCHEDULES = 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_no_schedule_of_any_pair_loses_or_doubles_a_cent(plugin, kit):
    numbers: Counter[str] = Counter()
    for seed in [*failed_seeds(plugin=plugin), *range(SCHEDULES)]:
        outcome = play(kit, seed, plugin)
        again = f"make simulate REPLAY={seed} PLUGIN={plugin}\n"
        assert outcome.broken is None, again + "\n".join(outcome.story)
        numbers += outcome.numbers
    assert numbers["captured_payments"] > SCHEDULES / 4, numbers
    assert numbers["ambiguous"] > SCHEDULES / 2, numbers


def test_each_plugin_meets_every_one_of_the_other_kind():
    for plugin in PLUGINS:
        met = {pair(plugin, seed) for seed in range(500)}
        others = LIBRARIES if plugin in PROVIDERS else PROVIDERS
        own = (PROVIDERS | LIBRARIES)[plugin]
        assert len(met) == len(own) * sum(len(stands) for stands in others.values())


@pytest.mark.timeout(300)
def test_the_same_seed_of_a_pair_is_the_same_story(kit):
    first = play(kit, 7, "sip2", told=True)
    play(kit, 8, "adyen")
    assert play(kit, 7, "sip2").fingerprint == first.fingerprint
    assert "sip2" in first.story[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", planted.DEFECTS)
def test_a_defect_of_a_plugin_is_found(name, kit):
    plugin, first = planted.DEFECTS[name]
    with getattr(planted, name)():
        # Another simulator may find it by a later seed.
        played = (play(kit, seed, plugin) for seed in range(first, first + 300))
        outcome = next((one for one in played if one.broken), None)
    assert outcome is not None
    assert outcome.broken is not None
    assert outcome.broken[0] != "unexpected", outcome.broken
    assert play(kit, outcome.seed, plugin).broken is None
