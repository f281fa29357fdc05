"""The simulated remotes as the program reaches them, with the faults of this seed in between."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ils_payment.model import Reply

if TYPE_CHECKING:
    from ils_payment_koha.simulator import KohaSimulator
    from ils_payment_stripe.simulator import StripeSimulator

    from ils_payment.model import RawRequest
    from tests.faults.mix import Mix
    from tests.faults.scheduler import Scheduler

CREDIT = "credits.add"
LATEST = 600
"""A call may take effect so many seconds late: less than the quarantine less the clock's jumps."""

LAG = 300
"""A copy that answers questions may be so many seconds behind."""


class Outage:
    """Whether a remote can be reached: it goes away for a span, and comes back."""

    def __init__(self) -> None:
        self.until = 0.0
        self.switch = ""


class KohaGate:
    """Koha behind its proxy."""

    def __init__(self, koha: KohaSimulator, scheduler: Scheduler, mix: Mix) -> None:
        self.koha = koha
        self.scheduler = scheduler
        self.mix = mix
        self.outage = Outage()
        self.settles: list[Settle] = []
        self.copies: dict[str, list[tuple[float, Reply]]] = {}
        self.doubled: set[str] = set()
        self.in_part: set[str] = set()
        self.overpaid: set[str] = set()
        self.deadlocked: set[str] = set()
        self.unclear_twice: set[str] = set()
        self._watch_balance()

    def handle(self, raw: RawRequest) -> Reply | None:
        if self.scheduler.seconds < self.outage.until:
            self.mix.fired[self.outage.switch] += 1
            return None
        if raw.method == "POST" and raw.path.endswith("/account/credits"):
            return self._settle(raw)
        if raw.method == "GET" and "/account" in raw.path:
            return self._question(raw)
        return self.koha.handle(raw)

    def _settle(self, raw: RawRequest) -> Reply:
        asked = json.loads(raw.body)
        marker = str(asked.get("note"))
        call = Settle(self.scheduler.seconds, marker, str(asked.get("amount")))
        self.settles.append(call)
        roll, koha = self.mix.strikes, self.koha
        told = ""
        again = marker in self.unclear_twice and not self.mix.calm
        if not again and self._has_proof(marker) and roll("unclear_twice"):
            self.unclear_twice.add(marker)
            told = "lost, not applied, and its repetition will be booked late"
            koha.fail_next(1, status=0, operation=CREDIT)
        elif again:
            self.unclear_twice.remove(marker)
            told = self._late()
        elif roll("ils_lost_not_applied"):
            told = "lost, not applied"
            koha.fail_next(1, status=0, operation=CREDIT)
        elif roll("ils_lost_applied"):
            told = "applied, answer lost"
            koha.lose_answer()
        elif roll("ils_applied_late"):
            told = self._late()
        elif roll("ils_error_after"):
            told = "applied, answered by an error"
            koha.fail_next(
                1, status=self.mix.rng.choice((500, 502, 504)), operation=CREDIT, after_effect=True
            )
        elif roll("ils_deadlock"):
            told = "deadlocked"
            self.deadlocked.add(marker)
            koha.deadlock_next()
        self.scheduler.note(f"koha: settle {marker} {asked.get('amount')} {told}")
        twice = not told and roll("ils_applied_twice")
        part = not told and not twice and roll("ils_applied_in_part")
        reply = koha.handle(raw)
        if twice:
            self.scheduler.note(f"koha: settle {marker} once more")
            self.doubled.add(marker)
            reply = koha.handle(raw)
        if part and reply.status == 201 and self._take_back(int(json.loads(reply.body)["account_line_id"])):
            self.in_part.add(marker)
            reply = Reply(status=500)
        return reply

    def _late(self) -> str:
        late = self.mix.rng.randint(1, LATEST)
        self.koha.apply_late(late, status=self.mix.rng.choice((0, 504)))
        self.scheduler.spawn("koha:late", self.koha._catch_up, after=late + 0.001)
        return f"applied {late} s late"

    def _has_proof(self, marker: str) -> bool:
        """Tell whether another credit of ours is there: without one, no unclear call is ever repeated."""
        notes = {line.note for line in self.koha.tables.lines.values() if line.credit_type is not None}
        return any(note.startswith("ILSP-") and note != marker for note in notes)

    def _take_back(self, credit_id: int) -> bool:
        """Leave the last fee of a credit unpaid, as a process does that died over its lines."""
        tables = self.koha.tables
        offsets = [one for one in tables.offsets if one.credit_id == credit_id and one.amount > 0]
        if len(offsets) < 2:
            return False
        last = offsets[-1]
        tables.offsets.remove(last)
        tables.lines[last.debit_id].outstanding += last.amount
        tables.lines[credit_id].outstanding -= last.amount
        self.scheduler.note(f"koha: only a part of {credit_id} is used")
        return True

    def _question(self, raw: RawRequest) -> Reply:
        key = f"{raw.path}?{raw.query}"
        kept = [one for one in self.copies.get(key, ()) if one[0] >= self.scheduler.seconds - LAG]
        if kept and self.mix.strikes("ils_stale_read"):
            self.scheduler.note(f"koha: answers {raw.path} from a copy")
            return kept[0][1]
        reply = self.koha.handle(raw)
        if self.mix.strikes("ils_schema_changed"):
            self.scheduler.note("koha: answers in another form")
            return replace(reply, body=re.sub(rb'"amount_outstanding"|"balance"', b'"other"', reply.body))
        if self.mix.has("ils_stale_read"):
            kept.append((self.scheduler.seconds, reply))
            self.copies[key] = kept
        return reply

    def _watch_balance(self) -> None:
        """Note every credit with a marker of ours that leaves a balance below zero, at that very moment."""
        accounts = self.koha.accounts
        add = accounts.add_credit

        def watched(patron_id: int, body: dict[str, Any], *, user_id: int) -> Any:
            before = accounts.balance(patron_id)
            try:
                return add(patron_id, body, user_id=user_id)
            finally:
                after = accounts.balance(patron_id)
                if after < 0 and after < before:
                    self.overpaid.add(str(body.get("note")))

        accounts.add_credit = watched  # type: ignore[method-assign]  # it is only watched


class Settle:
    """One settle call as it reached Koha's proxy."""

    __slots__ = ("amount", "at", "marker")

    def __init__(self, at: float, marker: str, amount: str) -> None:
        self.at = at
        self.marker = marker
        self.amount = amount


class StripeGate:
    """Stripe's API as the program reaches it."""

    def __init__(self, stripe: StripeSimulator, scheduler: Scheduler, mix: Mix) -> None:
        self.stripe = stripe
        self.scheduler = scheduler
        self.mix = mix
        self.outage = Outage()

    def handle(self, raw: RawRequest) -> Reply | None:
        if self.scheduler.seconds < self.outage.until:
            self.mix.fired[self.outage.switch] += 1
            return None
        faults, roll = self.stripe.faults, self.mix.strikes
        if raw.method == "POST" and raw.path.endswith("/checkout/sessions") and roll("start_answer_lost"):
            self.scheduler.note("stripe: the session is made, the answer is lost")
            faults.lose_answer(1)
        elif roll("provider_error"):
            kind = self.mix.rng.choice(("request", "500", "503 after", "429"))
            self.scheduler.note(f"stripe: {kind}")
            match kind:
                case "request":
                    faults.lose_request(1)
                case "500":
                    faults.fail_next(1, status=500)
                case "429":
                    faults.fail_next(1, status=429)
                case _:
                    faults.fail_next(1, status=503, after_effect=True)
        return self.stripe.handle(raw)
