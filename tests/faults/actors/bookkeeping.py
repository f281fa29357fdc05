"""The books afterwards: exports of closed days, seals, and a ledger that is put back from a backup."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment.errors import ILSPaymentError
from ils_payment.flows import backup
from ils_payment.flows.export import BooksDifferError, export
from ils_payment.flows.seal import seal
from ils_payment.model import Actor
from ils_payment.store import installation
from tests.faults.actors import treasury
from tests.faults.instance import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from ils_payment.flows.house import House
    from tests.faults.setting import Setting

TREASURER = Actor("treasurer-1", "treasurer")
ROOT = Actor("root", "command line")
LIBRARY = "lindental"


@dataclass
class Lost:
    """What a restored ledger does not know any more, and where outside the program wrote meanwhile."""

    payments: set[str] = field(default_factory=set)
    markers: set[str] = field(default_factory=set)
    charge_markers: set[str] = field(default_factory=set)
    refund_keys: set[str] = field(default_factory=set)
    notices: set[str] = field(default_factory=set)
    exports: set[int] = field(default_factory=set)


_KNOWN = {
    "payments": "SELECT id FROM payments",
    "markers": "SELECT marker FROM credit_orders",
    "charge_markers": "SELECT charge_marker FROM refunds WHERE charge_marker IS NOT NULL "
    "UNION SELECT charge_marker FROM renewals WHERE charge_marker IS NOT NULL",
    "refund_keys": "SELECT key FROM refunds",
    "notices": "SELECT key FROM notices",
    "exports": "SELECT number FROM exports",
}


def start(setting: Setting) -> None:
    """Let the books be kept in the storm."""
    mix, rng = setting.mix, setting.mix.people_rng
    if "payout_differs" in mix.chance and mix.wants(("payout_differs",)):
        setting.stripe.book.account.payout_difference = 1
    if "sealed" in mix.chance:
        setting.scheduler.spawn("seals", partial(_seal_often, setting))
    if "exports_at_once" in mix.chance:
        setting.scheduler.spawn("exports", partial(_export_some, setting), after=rng.choice((9000, 80_000)))
    if mix.wants(("backup_restored",)):
        setting.scheduler.spawn("backup", partial(_back_and_forth, setting), after=rng.uniform(5, 3000))


def calm(setting: Setting) -> None:
    """Release a restored ledger, and export what was not exported, once the faults are over."""
    if setting.lost is not None:
        for after in (30, 900):
            setting.scheduler.spawn("operator", partial(_release, setting), after=after)
    if "exports_at_once" in setting.mix.chance:
        setting.scheduler.spawn("exports", partial(_export_some, setting), after=2.5 * 86_400)


def _asked(setting: Setting, name: str, work: Callable[[House], Any]) -> Any:
    instance = setting.alive()
    if instance is None:
        return None
    try:
        return instance.call(name, work)
    except BooksDifferError as error:
        setting.scheduler.note(f"books: {error}")
        raise
    except (BrokenError, ILSPaymentError) as error:
        setting.scheduler.note(f"books: {name}: {type(error).__name__}: {error}")
        return None


def _seal_often(setting: Setting) -> None:
    for after in (100, 700, 5000):
        setting.scheduler.sleep(after)
        if _asked(setting, "seal", seal) is not None:
            setting.mix.fired["sealed"] += 1


def _export_some(setting: Setting) -> None:
    """Export the days that have closed since the last export, by two processes at once, and once more."""
    first, last = _open_days(setting)
    if first > last:
        return
    made: list[str] = []

    def one() -> None:
        told = _asked(setting, "export", lambda house: _export(setting, house, first, last))
        if told is not None:
            made.append(told.kept.content)

    tasks = [setting.scheduler.spawn("export", one) for _ in range(2)]
    for task in tasks:
        setting.scheduler.join(task)
    one()
    if made:
        setting.mix.fired["exports_at_once"] += 1
        setting.exported.setdefault((first, last), []).extend(made)


def _export(setting: Setting, house: House, first: date, last: date) -> Any:
    desk = house.libraries[LIBRARY]
    try:
        return export(house, desk, TREASURER, first, last)
    except BooksDifferError:
        if not setting.mix.fired["payout_differs"]:
            raise
        # The treasury leaves the payout that does not add up to a later export.
        return export(house, desk, TREASURER, first, last, with_payouts=False)


def _open_days(setting: Setting) -> tuple[date, date]:
    """Return the first day that no export has, and yesterday."""
    zone = setting.kit.settings.libraries[LIBRARY].zone
    today = setting.world.now().astimezone(zone).date()
    rows = setting.query("SELECT max(last_day) AS last FROM exports")
    begin = setting.world.start.astimezone(zone).date() - timedelta(days=1)
    if rows[0]["last"] is not None:
        begin = max(begin, type(begin).fromisoformat(rows[0]["last"]) + timedelta(days=1))
    return begin, today - timedelta(days=1)


def _back_and_forth(setting: Setting) -> None:
    """Make a backup, go on, lose the ledger, put the backup back, and compare until it is released."""
    rng, scheduler = setting.mix.people_rng, setting.scheduler
    path = setting.kit.folder / "ledger.backup"
    path.unlink(missing_ok=True)
    if _asked(setting, "backup", lambda house: backup.backup(house.store, ROOT, path)) is None:
        return
    scheduler.note("a backup is made")
    scheduler.sleep(rng.choice((5, 60, 600, 5000, 90_000)))
    for instance in setting.instances:
        instance.die(30)
    scheduler.sleep(1)
    if any(instance.house is not None for instance in setting.instances):
        return
    _put_back(setting, path)
    for _ in range(6):
        scheduler.sleep(rng.choice((60, 600, 4000)))
        if setting.mix.calm or _release(setting):
            return


def _put_back(setting: Setting, path: Any) -> None:
    before = {name: {row[0] for row in setting.query(sql)} for name, sql in _KNOWN.items()}
    setting.rows.close()
    for left in setting.kit.folder.glob("ledger.db*"):
        left.unlink()
    store = setting.kit.stores[0]
    backup.restore(store, setting.kit.path, ROOT, path)
    store.engine.dispose()
    setting.reopen()
    after = {name: {row[0] for row in setting.query(sql)} for name, sql in _KNOWN.items()}
    setting.lost = Lost(**{name: before[name] - after[name] for name in _KNOWN})
    setting.exported.clear()
    setting.scheduler.note(f"the backup is put back; {len(setting.lost.payments)} payments are lost")


def _release(setting: Setting) -> bool:
    """Compare a restored ledger and take payments again; tell whether it was released."""
    treasury.compare(setting)
    (row,) = setting.query("SELECT unreconciled FROM installation")
    if row["unreconciled"]:
        return False

    def resume(house: House) -> None:
        with house.store.unit() as unit:
            installation.pause(unit, paused=False)

    _asked(setting, "resume", resume)
    return True
