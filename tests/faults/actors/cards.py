"""Cards that end soon: who renews them online, what the desk does meanwhile, and how Koha fails at it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator.demo import RIGHTS

from ils_payment.flows import offer, pay, see
from ils_payment.flows.views import Begun
from tests.faults.actors.patrons import LIBRARY, Person, _short

if TYPE_CHECKING:
    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef, RawRequest, Reply
    from tests.faults.setting import Setting

PUT = "patrons.put"
DEBIT = "debits.add"
LATEST = 600
"""A call may take effect so many seconds late: less than the quarantine less the clock's jumps."""

FREE = "KIND"
NOT_SOLD = "GAST"
"""A category that the tariff does not know."""

CANNOT_CHANGE = ("borrowers:edit_borrowers", "updatecharges:remaining_permissions")
"""Enough for fees, and not for changing a patron."""

_PUTS = ("card_lost_not_applied", "card_lost_applied", "card_applied_late", "card_error_after")
_DEBITS = ("card_debit_lost", "card_debit_not_applied", "card_debit_late", "card_debit_error")
_AMBUSHED = (
    "pay.frozen", "settle.leased", "renew.before_call", "koha.renew.before", "koha.renew.after",
    "renew.recorded", "renew.renewed", "charge.before_call", "charge.done",
)  # fmt: skip
PATRON = re.compile(r"/patrons/(\d+)$")


def start(setting: Setting) -> None:
    """Let cards end soon, and everybody who has to do with them begin."""
    if not setting.sells_cards:
        return
    mix, koha = setting.mix, setting.koha
    koha.add_category(FREE, 0)
    koha.add_category(NOT_SOLD, 0)
    koha.habits.borrower_renewal_period_base = mix.cards_rng.choice(("now", "dateexpiry", "combination"))
    for patron in setting.patrons:
        _end_soon(setting, int(patron))
        setting.scheduler.spawn(f"card {patron}", Holder(setting, patron).live)
        if "card_by_another" in mix.chance:
            setting.scheduler.spawn(f"card {patron} by another", Holder(setting, patron).help_out)
    _watch(setting)
    clerk = Clerk(setting)
    if clerk.deeds:
        setting.scheduler.spawn("card clerk", clerk.work)
        _ambush(setting, clerk)
    if "card_rights_away" in mix.chance:
        setting.scheduler.spawn("card rights", partial(_take_rights_away, setting))


def _end_soon(setting: Setting, patron: int) -> None:
    """Let a card end in some days, or have ended some days ago."""
    rng = setting.mix.cards_rng
    ends = setting.world.start.date() + timedelta(days=rng.choice((-400, -20, 0, 1, 10, 40)))
    fields = {"expiry_date": ends.isoformat()}
    if setting.mix.strikes("card_free"):
        fields["category_id"] = FREE
    setting.koha.change(patron, **fields)


class Holder(Person):
    """Somebody with a card that ends soon, and a browser."""

    def __init__(self, setting: Setting, patron: PatronRef) -> None:
        super().__init__(setting, patron)
        self.rng = setting.mix.cards_rng

    def live(self) -> None:
        self.scheduler.sleep(self.rng.uniform(0, 30))
        for _ in range(self.rng.choice((1, 2, 3))):
            page = self.look_at_card()
            if page is not None:
                self.buy_all(*page)
            self.scheduler.sleep(self.rng.choice((3, 60, 600, 5000)))

    def help_out(self) -> None:
        """Renew somebody else's card by its link, while the owner may do the same."""
        self.scheduler.sleep(self.rng.choice((1, 20, 300, 3000)))
        if self.mix.strikes("card_by_another"):
            page = self.look_at_card()
            if page is not None:
                self.buy(*page)

    def look_at_card(self) -> tuple[list[str], int, date, str] | None:
        """Open the card's page: keys of the fees that are paid with it, cents, the day and the method."""

        def work(house: House) -> Any:
            desk = house.libraries[LIBRARY]
            return offer.card(house, desk, self.patron), see.fees(house, desk, self.patron)

        view, fees = self.ask("card", work) or (None, None)
        if view is None or fees is None or view.quote is None:
            return None
        keys, cents = list[str](), view.quote.cents
        if self.mix.strikes("card_with_fees"):
            lines = [line for line in fees.lines if line.payable]
            owed = sum(line.cents for line in lines)
            if owed <= fees.limit_cents:
                keys, cents = [line.key for line in lines], cents + owed
        if not keys and not view.quote.cents:
            return keys, 0, view.quote.until, ""
        if cents < 100:
            return None
        return keys, cents, view.quote.until, self.rng.choice(("card", "card", "instant_bank_transfer"))

    def buy_all(self, keys: list[str], cents: int, until: date, method: str) -> None:
        """Confirm once, or in two tabs at the same time."""
        other = None
        if self.mix.strikes("card_two_tabs"):
            name = f"card {self.patron} in another tab"
            other = self.scheduler.spawn(name, partial(self.buy, keys, cents, until, method))
        self.buy(keys, cents, until, method)
        if other is not None:
            self.scheduler.join(other)

    def buy(self, keys: list[str], cents: int, until: date, method: str) -> None:
        """Confirm the renewal, pay at the provider where something is to be paid, come back."""

        def work(house: House) -> Any:
            desk = house.libraries[LIBRARY]
            return pay.begin(house, desk, self.patron, keys, method, "de", cents, until=until)

        begun = self.ask("begin", work)
        self.scheduler.note(f"{self.patron} renews until {until} for {cents} cents: {_short(begun)}")
        if not isinstance(begun, Begun):
            return
        self.mix.fired["card_sold"] += 1
        self.scheduler.sleep(self.rng.choice((0, 2, 20, 200)))
        session = self.session(begun.payment_id)
        if session is not None:
            self.pay(begun.payment_id, session)
        self.come_back(begun.payment_id)


class Clerk:
    """The desk: renews cards itself, types other days and other categories."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = setting.mix.cards_rng
        names = ("card_desk_renews", "card_desk_types", "card_other_category")
        self.deeds = [name for name in names if setting.mix.has(name)]

    def work(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.setting.scheduler.sleep(self.rng.choice((10, 60, 300, 2000)))
            if self.setting.mix.calm:
                return
            self.act()

    def act(self) -> None:
        """Do one of the deeds to one of the patrons."""
        setting, koha = self.setting, self.setting.koha
        patron = int(self.rng.choice(setting.patrons))
        name = self.rng.choice(self.deeds)
        if patron not in koha.tables.patrons or not setting.mix.strikes(name):
            return
        if name == "card_desk_renews":
            what = f"renewed until {koha.renew_account(patron)}"
        elif name == "card_desk_types":
            what = self._type(patron)
        else:
            category = self.rng.choice((FREE, NOT_SOLD, "ERW"))
            koha.change(patron, category_id=category)
            what = f"now in category {category}"
        setting.scheduler.note(f"card clerk: patron {patron} {what}")

    def _type(self, patron: int) -> str:
        """Type another day: never just the old one, which would be as if the program had written nothing."""
        said = str(self.setting.koha.tables.patrons[patron].record["expiry_date"])
        days = self.rng.choice((-500, -1, 1, 33, 367, 800))
        day = (date.fromisoformat(said) + timedelta(days=days)).isoformat()
        self.setting.koha.change(patron, expiry_date=day)
        return f"ends on {day} by hand"


def _ambush(setting: Setting, clerk: Clerk) -> None:
    """Let the clerk act in the very middle of our calls, too."""
    inner = setting.world.ambush

    def ambush(name: str) -> None:
        inner(name)
        if name in _AMBUSHED and not setting.mix.calm and setting.mix.cards_rng.random() < 0.15:
            clerk.act()

    setting.world.ambush = ambush


def _take_rights_away(setting: Setting) -> None:
    """Let the service user change no patron for a while; in the end somebody gives the right back."""
    rng, scheduler = setting.mix.cards_rng, setting.scheduler
    scheduler.sleep(rng.choice((1, 20, 100, 1000)))
    if not setting.mix.strikes("card_rights_away"):
        return
    user = next(iter(setting.koha.tables.clients.values())).patron_id
    setting.koha.set_rights(user, CANNOT_CHANGE)
    scheduler.note("koha: the program may not change patrons any more")
    scheduler.sleep(rng.choice((30, 3000, 20_000, 290_000)))
    setting.koha.set_rights(user, RIGHTS)
    scheduler.note("koha: the program may change patrons again")


def _watch(setting: Setting) -> None:
    """Stand beside the wire, and let calls about cards go wrong."""
    gate = setting.koha_gate
    inner = gate.handle

    def handle(raw: RawRequest) -> Reply | None:
        if setting.scheduler.seconds < gate.outage.until:
            return inner(raw)
        if raw.method == "PUT" and PATRON.search(raw.path):
            told = _fail(setting, PUT, _PUTS)
            setting.scheduler.note(f"koha: new expiry {json.loads(raw.body).get('expiry_date')} {told}")
            reply = inner(raw)
            if reply is not None and reply.status == 200 and setting.mix.strikes("card_answer_garbled"):
                setting.scheduler.note("koha: the answer to a new expiry cannot be read")
                return replace(reply, body=b'{"patron_id": 1}')
            return reply
        if raw.method == "POST" and raw.path.endswith("/account/debits"):
            told = _fail(setting, DEBIT, _DEBITS)
            setting.scheduler.note(f"koha: debit {json.loads(raw.body).get('internal_note')} {told}")
        return inner(raw)

    gate.handle = handle  # type: ignore[method-assign]  # this Koha only


def _fail(setting: Setting, operation: str, names: tuple[str, ...]) -> str:
    """Let the call at hand fail in one of the ways *names*, where the dice say so; return which."""
    koha, rng = setting.koha, setting.mix.cards_rng
    name = next((one for one in names if setting.mix.strikes(one)), "")
    if name.endswith("late"):
        late = rng.randint(1, LATEST)
        koha.apply_late(late, status=rng.choice((0, 504)), operation=operation)
        setting.scheduler.spawn("koha:late", koha._catch_up, after=late + 0.001)
    elif name:
        applied = not name.endswith("not_applied")
        status = rng.choice((500, 502, 504)) if "error" in name else 0
        koha.fail_next(1, status=status, operation=operation, after_effect=applied)
    return name
