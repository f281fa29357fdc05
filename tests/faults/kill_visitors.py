"""Who acts in ``make kill`` while processes die: patrons, a clerk at the desk, remotes with bad days."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING

from ils_payment_stripe.simulator import NotPayableError

from ils_payment.cli.walk import Browser, JourneyError, confirm_everything, pay_by_card
from ils_payment.world import World
from tests.faults.kill_town import LIBRARY, PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.kill_town import Town

TRIES = 4
GIVES_UP, AT_THE_DESK, BY_BANK = 0.06, 0.03, 0.1
"""How many leave the provider's page, pay at the desk too, and pay by a bank that takes its time."""


class Crowd:
    """So many patrons at a time, each with a card and fees of their own, and the bad days of the remotes."""

    def __init__(self, town: Town, *, seed: int, at_once: int) -> None:
        self.counts: Counter[str] = Counter()
        self._town, self._seed = town, seed
        self._world = World()
        self._stopping = threading.Event()
        self._patrons = itertools.count()
        loops: list[Callable[[random.Random], None]] = [self._visits] * at_once
        self._threads = [
            threading.Thread(target=loop, args=(random.Random(f"{seed}/{place}"),), daemon=True)
            for place, loop in enumerate([*loops, self._bad_days])
        ]

    def start(self) -> None:
        """Let them come."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let those who are there finish, and nobody new come; the remotes are well again."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._town.koha.faults.failures.clear()
        self._town.koha.faults.delays.clear()
        self._town.koha.faults.deadlocks = 0
        self._town.koha.database_down(down=False)
        self._town.stripe.faults.waiting.clear()

    def _visits(self, dice: random.Random) -> None:
        while not self._stopping.is_set():
            number = next(self._patrons)
            if number >= len(self._town.cards):
                return
            card = self._town.cards[number]
            fees = self._moves_in(card, dice)
            self.counts["visits"] += 1
            if self._pays(card, dice) and dice.random() < AT_THE_DESK:
                fee, cents = fees[0]
                self._town.koha.pay_at_desk(self._patron_id(card), fee, cents)
                self.counts["desk"] += 1

    def _moves_in(self, card: str, dice: random.Random) -> list[tuple[int, int]]:
        patron = self._town.koha.add_patron(
            card, PIN, charge=False, surname="Leser", category_id="ERW", library_id="ZENTRALE"
        )
        sums = [dice.randrange(100, 2500) for _ in range(dice.randint(1, 3))]
        return [
            (self._town.koha.add_fee(patron, cents, "MANUAL", "Gebühr", library_id="ZENTRALE"), cents)
            for cents in sums
        ]

    def _patron_id(self, card: str) -> int:
        patrons = self._town.koha.tables.patrons
        return next(number for number, one in list(patrons.items()) if one.record["cardnumber"] == card)

    def _pays(self, card: str, dice: random.Random) -> bool:
        """Walk the journey; whoever meets an error page tries again a little later."""
        for _ in range(TRIES):
            session = self._world.session(deadline=12, max_bytes=5 * 1024 * 1024)
            session.headers["X-Forwarded-For"] = f"10.{dice.randrange(256)}.{dice.randrange(256)}.7"
            browser = Browser(session)
            try:
                chosen = confirm_everything(browser, f"{self._town.address}/{LIBRARY}/", card, PIN)
            except (JourneyError, KeyError) as error:
                self.counts[f"error: {error}"] += 1
                self._stopping.wait(dice.uniform(0.2, 2.0))
                continue
            return self._on_the_page(browser, chosen, dice)
        return False

    def _on_the_page(self, browser: Browser, chosen: object, dice: random.Random) -> bool:
        page = chosen.page  # type: ignore[attr-defined]  # a Confirmed
        chance = dice.random()
        if chance < GIVES_UP:
            self.counts["given up"] += 1
            return False
        try:
            if chance < GIVES_UP + BY_BANK:
                session = page.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
                self._town.stripe.pay_pending(session, outcome=True)
            else:
                pay_by_card(browser, page)
        except (JourneyError, KeyError, NotPayableError):
            # The way back led to a process that had just died; what was paid was paid.
            self.counts["errors"] += 1
        self.counts["paid"] += 1
        return True

    def _bad_days(self, dice: random.Random) -> None:
        koha, stripe = self._town.koha, self._town.stripe
        faults: list[Callable[[], object]] = [
            koha.lose_answer,
            lambda: koha.fail_next(status=500, operation="credits.add", after_effect=True),
            lambda: koha.fail_next(status=503, operation="credits.add"),
            lambda: koha.fail_next(2, status=503, operation="account.get"),
            lambda: koha.fail_next(status=0, operation="credits.list", after_effect=True),
            lambda: koha.apply_late(dice.uniform(0.2, 2.0)),
            lambda: koha.delay_next(dice.uniform(0.1, 1.5), 3),
            lambda: self._stops_for_a_moment(dice),
            lambda: stripe.faults.lose_answer(only="checkout.sessions.create"),
            lambda: stripe.faults.fail_next(status=500),
            lambda: stripe.faults.lose_request(2),
            lambda: setattr(stripe.webhooks, "duplicate", dice.randint(0, 2)),
        ]
        while not self._stopping.wait(dice.uniform(0.2, 1.2)):
            dice.choice(faults)()
            self.counts["faults"] += 1

    def _stops_for_a_moment(self, dice: random.Random) -> None:
        self._town.koha.database_down()
        self._stopping.wait(dice.uniform(0.3, 1.5))
        self._town.koha.database_down(down=False)
