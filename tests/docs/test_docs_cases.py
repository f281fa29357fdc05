"""The handbook names every kind of case that the program opens."""

from __future__ import annotations

import re
from pathlib import Path

from ils_payment.flows import case_words

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def test_the_handbook_tells_of_each_kind_of_case_what_happened_and_what_to_do() -> None:
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| .+ \| .+ \|$", OPERATING.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = [kind for row in rows for kind in re.findall(r"\w+", row)]
    assert set(case_words.words("en")["cases"]) <= set(told)
