"""I11 and I12: what clerks learn, and what nobody else may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.flows import case_words
from tests.conftest import STRIPE
from tests.faults.invariants.base import Invariant

if TYPE_CHECKING:
    from collections.abc import Iterator


class CasesAreComplete(Invariant):
    """A held payment has an open case, an open case holds its payment; each kind has its words."""

    name = "I11"

    def at_end(self) -> None:
        kinds = {row["kind"] for row in self.setting.query("SELECT DISTINCT kind FROM cases")}
        for language in ("de", "en"):
            missing = kinds - set(case_words.words(language)["cases"])
            self.hold(not missing, f"no words in {language} for {missing}")
        for payment in self.payments():
            # Money that is on its way back holds a payment that was never settled.
            self.hold(
                (payment["held"] and payment["refunding"])
                or bool(payment["held"]) == bool(payment["open_case"]),
                f"{payment['id']}: held {payment['held']}, open case {payment['open_case']}",
            )
        broken = self.setting.query("SELECT payment_id, facts FROM cases WHERE kind = 'broken_rule'")
        self.hold(not broken, f"a rule of the program's own broke: {[tuple(row) for row in broken]}")


class NothingPersonalGetsOut(Invariant):
    """Names, cards, titles and secrets stand in no log, address, mail to staff or open row."""

    name = "I12"

    def at_end(self) -> None:
        for place, text in self._outputs():
            lower = text.lower()
            for canary in self.setting.canaries:
                self.hold(canary.lower() not in lower, f"{canary} stands in {place}: {text[:300]}")

    def _outputs(self) -> Iterator[tuple[str, str]]:
        yield from (("the log", line) for line in self.setting.kit.logged)
        for netloc, address, body in self.setting.world.sent:
            yield "an address", address
            if netloc == STRIPE:
                yield "what the provider gets", body
        for recipient, subject, body in self.setting.world.mails:
            if "kanari" not in recipient:
                yield "a mail to staff", f"{subject}\n{body}"
        for table in ("audit", "cases", "notices", "attempts", "payments", "credit_tries", "credit_orders"):
            for row in self.setting.query(f"SELECT * FROM {table}"):
                yield table, " ".join(str(value) for value in tuple(row))
