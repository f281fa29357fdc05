"""A slice of ``make planted``: a few defects that are found at once, and what the list is held to."""

from __future__ import annotations

import pytest

from tests.faults.kit import Kit
from tests.faults.planted.registry import every_defect
from tests.faults.planted.run import BEGIN, END, Catch, catch, caught_before, rounds, table, write

FAST = (
    "no_dedupe_of_notices",
    "no_claim",
    "session_of_a_start_forgotten",
    "posted_twice",
    "personal_data_at_the_provider",
)


def test_each_defect_says_in_a_sentence_what_is_broken():
    defects = every_defect()
    assert len(defects) >= 80
    for one in defects.values():
        assert one.says.endswith("."), one.name


@pytest.mark.parametrize("name", sorted(every_defect()))
def test_each_defect_takes_away_what_is_there(name, monkeypatch):
    # What is replaced has to be there under its name: a patch of nothing raises.
    every_defect()[name].plant(monkeypatch)


@pytest.fixture(scope="module")
def kit():
    made = Kit()
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FAST)
def test_a_planted_defect_is_caught_by_an_invariant(name, kit):
    caught = catch(kit, every_defect()[name], range(15))
    assert caught.seed is not None, caught
    assert caught.invariant != "unexpected"


def test_the_table_is_written_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write(page, table([Catch("no_claim", 7, 8, "claims")]))
    text = page.read_text(encoding="utf-8")
    assert "| no claim | Two payments may be open for the same fee. | 7 | 8 | claims |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert caught_before(text) == {"no_claim": 7}


def test_the_seed_of_the_last_catch_comes_first_and_what_is_caught_is_not_hunted_further():
    names = ["no_claim", "posted_twice"]
    hunted = []
    for jobs in rounds(names, {"no_claim": 7}, 3000):
        hunted.append(jobs)
        names[:] = names[-1:]
    rest = [[("posted_twice", seeds)] for seeds in (range(30), range(30, 300), range(300, 3000))]
    assert hunted == [[("no_claim", range(7, 8))], *rest]
