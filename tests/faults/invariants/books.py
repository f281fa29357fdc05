"""I1 and I5: the ledger against the provider, and against itself."""

from __future__ import annotations

import hashlib
import json

from tests.faults.invariants.base import Invariant
from tests.faults.reports import Truth


class EachCentInOnePlace(Invariant):
    """Each captured cent is settled, returned, or in a case; and nothing is there that was not captured."""

    name = "I1"

    def at_end(self) -> None:
        captured = Truth(self.setting).captured_by_payment
        books = self.books()
        for payment in self.payments():
            of = books.get(payment["id"], {})
            took = captured.get(payment["id"], 0)
            self.hold(took == -of.get("provider", 0), f"{payment['id']}: {took} captured, books {of}")
            waiting = of.get("to_settle", 0)
            self.hold(waiting == 0 or not payment["held"], f"{payment['id']} is held, and {waiting} wait")
            self.hold(sum(of.values()) == 0, f"{payment['id']}: the accounts hold {of}")
        lost = self.setting.lost.payments if self.setting.lost else set()
        strangers = set(captured) - {payment["id"] for payment in self.payments()} - lost
        self.hold(not strangers, f"captured for payments that we do not know: {strangers}")


class LedgerIsWhole(Invariant):
    """Every account of every line is at least zero but the provider's; the chain of hashes fits."""

    name = "I5"

    def after_posting(self) -> None:
        for row in self.setting.query(_BELOW_ZERO):
            self.hold(
                False, f"{row['payment_id']}: {row['book']} of line {row['line_id']} has {row['cents']}"
            )

    def at_end(self) -> None:
        previous: dict[str, tuple[int, str, str]] = {}
        moved: dict[tuple[str, int], list[list[object]]] = {}
        for row in self.setting.query("SELECT * FROM postings ORDER BY payment_id, number"):
            key = (row["payment_id"], row["audit_number"])
            # Empty stands for the payment's own currency, and is left out.
            other = [row["currency"]] if row["currency"] else []
            moved.setdefault(key, []).append(
                [row["line_id"], row["source"], row["destination"], row["cents"], *other]
            )
        for row in self.setting.query("SELECT * FROM audit ORDER BY payment_id, number"):
            number, last, _ = previous.get(row["payment_id"], (0, "0" * 64, ""))
            self.hold(row["number"] == number + 1, f"{row['payment_id']}: audit row {number + 1} is missing")
            self.hold(row["previous"] == last, f"{row['payment_id']}: the chain breaks at {row['number']}")
            postings = moved.pop((row["payment_id"], row["number"]), [])
            self.hold(
                _digest(dict(row), postings) == row["hash"], f"{row['payment_id']}: {row['number']} differs"
            )
            previous[row["payment_id"]] = (row["number"], row["hash"], row["state"])
        self.hold(not moved, f"postings that no audit row covers: {moved}")
        for payment in self.payments():
            self.hold(previous[payment["id"]][2] == payment["state"], f"{payment['id']}: the end is cut off")


def _digest(row: dict[str, object], postings: list[list[object]]) -> str:
    """Return the hash as the documents define it, calculated without the program's code."""
    from datetime import UTC, datetime, timedelta

    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(str(row["at"])))
    content = {**{k: v for k, v in row.items() if k != "hash"}, "at": at.isoformat(), "postings": postings}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_BELOW_ZERO = """
SELECT payment_id, line_id, book, sum(cents) AS cents FROM (
  SELECT payment_id, line_id, source AS book, -cents AS cents FROM postings
  UNION ALL SELECT payment_id, line_id, destination, cents FROM postings)
WHERE book <> 'provider' GROUP BY payment_id, line_id, book HAVING sum(cents) < 0
"""
