"""Count the table in `docs/security.md`; with `--write`, write the counts above it.

A row says how a requirement of OWASP ASVS 5.0 is met: by a test, by a document, by the operator, not at all
(open), or that what it is about is absent from this program.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "security.md"
STATES = ("test", "document", "operator", "open", "absent")
START, END = "<!-- counts: written by scripts/asvs.py -->", "<!-- end of counts -->"


class Row(NamedTuple):
    """One row: the requirement's number, what it is about in our words, how it is met, and where to look."""

    number: str
    about: str
    state: str
    evidence: str

    @property
    def chapter(self) -> int:
        """Return the chapter of the requirement."""
        return int(self.number.partition(".")[0])


def rows(text: str) -> list[Row]:
    """Return the rows of all chapters."""
    found = re.findall(r"^\| (\d+\.\d+\.\d+) \| (.*?) \| (\w+) \| (.*?) \|$", text, re.MULTILINE)
    return [Row(*one) for one in found]


def counts(text: str) -> str:
    """Return the table of counts: a row for each chapter, and the sum."""
    counted: dict[str, Counter[str]] = {"all": Counter()}
    for row in rows(text):
        counted.setdefault(f"V{row.chapter}", Counter())[row.state] += 1
        counted["all"][row.state] += 1
    lines = [f"| chapter | {' | '.join(STATES)} | sum |", "|---" * (len(STATES) + 2) + "|"]
    for name in [*(name for name in counted if name != "all"), "all"]:
        cells = [str(counted[name][state]) for state in STATES]
        lines.append(f"| {name} | {' | '.join(cells)} | {counted[name].total()} |")
    return "\n".join(lines)


def written(text: str) -> str:
    """Return the document with its counts made anew."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{counts(text)}\n\n{END}{after}"


def main() -> None:
    """Print the counts, or write them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(written(text), encoding="utf-8")
    print(counts(text))


if __name__ == "__main__":
    main()
