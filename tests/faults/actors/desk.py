"""The clerk at the library's own desk, and what else happens in the library system meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.setting import Setting

_AMBUSHED = ("koha.settle.before", "settle.leased", "settle.before_call", "settle.recorded", "pay.frozen")


def start(setting: Setting) -> None:
    """Let the clerk work at some moments, and in the very middle of our calls."""
    clerk = Clerk(setting)
    if clerk.deeds:
        setting.scheduler.spawn("clerk", clerk.work)
        setting.world.ambush = clerk.ambush


class Clerk:
    """Changes fees and patrons at Koha, past our program."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = setting.rng
        names = ("fee_grown", "fee_paid_at_desk", "fee_waived", "patron_gone")
        self.deeds = [name for name in names if setting.mix.has(name)]

    def work(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.setting.scheduler.sleep(self.rng.choice((10, 60, 300, 2000)))
            if self.setting.mix.calm:
                return
            self.act()

    def ambush(self, name: str) -> None:
        if name in _AMBUSHED and not self.setting.mix.calm and self.rng.random() < 0.1:
            self.act()

    def act(self) -> None:
        """Do one of the deeds to one of the patrons, where it can be done."""
        setting, koha = self.setting, self.setting.koha
        patron = int(self.rng.choice(setting.patrons))
        deed = self.rng.choice(self.deeds)
        if deed == "patron_gone":
            self._gone(patron)
            return
        fees = [line for line in koha.tables.lines_of(patron) if line.amount > 0 and line.outstanding > 0]
        if not fees:
            return
        line = self.rng.choice(fees)
        cents = int(line.outstanding * 100)
        if deed == "fee_grown" and line.note.startswith("ILSP-"):
            # A counter-debit of ours is no overdue fine: it does not grow.
            return
        if deed == "fee_grown":
            koha.grow_fee(line.line_id, self.rng.choice((1, 50, 500)))
        elif deed == "fee_waived":
            koha.waive(patron, line.line_id, self.rng.choice((1, cents)))
        else:
            koha.pay_at_desk(patron, line.line_id, self.rng.choice((1, cents, cents)))
        setting.mix.fired[deed] += 1
        setting.scheduler.note(f"clerk: {deed}, line {line.line_id} of patron {patron}")

    def _gone(self, patron: int) -> None:
        """Give the patron another card, or (rarely) delete the record with everything in it."""
        setting, koha = self.setting, self.setting.koha
        if patron not in koha.tables.patrons:
            return
        setting.mix.fired["patron_gone"] += 1
        if self.rng.random() < 0.8:
            koha.change(patron, cardnumber=f"2199{patron:010}")
            setting.scheduler.note(f"clerk: patron {patron} has another card")
            return
        with koha.tables.lock:
            del koha.tables.patrons[patron]
        setting.scheduler.note(f"clerk: patron {patron} is deleted")
