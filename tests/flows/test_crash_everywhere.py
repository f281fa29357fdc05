"""The program dies at failpoints of a journey and is started again on the same database, a PostgreSQL.

On SQLite it dies everywhere in scores of scenarios: ``tests/faults/failpoints.py``.
"""

from __future__ import annotations

from collections import Counter

from ils_payment.flows.house import open_house
from ils_payment.testing.world import Crash
from tests.flows.truths import ending, every_id, hear, of, paid, pay_calls, settled, void

CENTS = 150
CREDIT = "credits.add"


def restart(town):
    """Start the program anew on the same database, as a service manager does after a crash."""
    town.house.close()
    town.house = open_house(town.settings, town.world)
    town.desk = town.house.libraries["lindental"]


class Journey:
    """One fee, paid online, in a program that dies at the failpoint number *crash_at* (None: never)."""

    def __init__(self, town, crash_at):
        self.town = town
        self.crash_at = crash_at
        self.crashed = None
        self.names = []
        self.known = set(every_id(town))
        self.fee = 0

    def play(self):
        town = self.town
        self.fee = town.koha.add_fee(town.koha.patron_ids["jan"], CENTS)
        town.world.on_failpoint = self._pass
        self._survive(lambda: town.begin(patron=of(town, "jan")))
        self._payer()
        self._survive(lambda: hear(town))
        # The lease, then the sweep, then the quarantine; the payer comes back in between.
        for seconds in (*[20] * 9, *[120] * 20):
            self._payer()
            town.world.pass_time(seconds=seconds)
            self._survive(lambda: hear(town))
        town.world.on_failpoint = None
        (payment_id,) = set(every_id(town)) - self.known
        return payment_id

    def _pass(self, name):
        self.names.append(name)
        if len(self.names) - 1 == self.crash_at:
            self.crashed = name
            raise Crash(name)

    def _survive(self, step):
        try:
            step()
        except Crash:
            restart(self.town)

    def _payer(self):
        self.town.stripe.tick()
        for session in list(self.town.stripe.book.sessions.values()):
            if session["status"] == "open":
                self.town.stripe.pay(session["id"])


def _booked(town):
    town.koha.fail_next(1, operation=CREDIT, after_effect=True)


def _settle_somebody_first(town):
    """Clear Jan's own fee away; its confirmed marker proves from now on that the read path is fresh."""
    first = paid(town, patron=of(town, "jan"))
    hear(town)
    assert ending(town, first) == settled(CENTS)


def _crash_at_each(town, prepare, *, every):
    _settle_somebody_first(town)
    prepare(town)
    calm = Journey(town, None)
    assert ending(town, calm.play()) == settled(CENTS)
    ended: Counter[str] = Counter()
    for crash_at in range(0, len(calm.names), every):
        prepare(town)
        calls = pay_calls(town)
        journey = Journey(town, crash_at)
        payment_id = journey.play()
        found = ending(town, payment_id)
        where = (crash_at, journey.crashed)
        assert journey.crashed, where
        assert found == (void("not_started") if found["state"] == "void" else settled(CENTS)), where
        assert pay_calls(town) - calls <= 2, where
        ended[found["state"]] += 1
        if found["state"] == "void":
            town.koha.waive(town.koha.patron_ids["jan"], journey.fee, CENTS)
            # Koha tells whole seconds: in the same one, the next payment could not tell this from a clash.
            town.world.pass_time(seconds=1)
        # What a crash left unused must not meet the next journey.
        town.koha.faults.failures.clear()
        town.stripe.faults.waiting.clear()
    assert town.house.store.check() is None
    assert len(town.credits("jan")) == ended["settled"] + 2
    return calm.names, ended


def test_a_crash_at_any_failpoint_ends_in_one_credit_or_in_no_payment(postgresql_url):
    from tests.conftest import Town

    town = Town(postgresql_url)
    names, ended = _crash_at_each(town, _booked, every=6)
    assert len(names) >= 20
    assert ended["settled"] >= 4
    town.close()
