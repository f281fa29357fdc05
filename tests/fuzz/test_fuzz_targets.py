"""The fuzzer's seeds and former findings, and bytes that Hypothesis makes, against every target."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS

SEEDS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed_does_no_harm(seed):
    TARGETS[seed.parent.name](seed.read_bytes())


def test_every_target_has_seeds():
    assert {path.parent.name for path in SEEDS} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_make_a_target_fall(name):
    seeds = [path.read_bytes() for path in SEEDS if path.parent.name == name]

    @settings(max_examples=100)
    @given(
        st.one_of(
            st.binary(max_size=300),
            st.tuples(st.sampled_from(seeds), st.integers(0, 400), st.binary(max_size=6)).map(
                lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + len(one[2]) :]
            ),
        )
    )
    def fall(data):
        TARGETS[name](data)

    fall()
