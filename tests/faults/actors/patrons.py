"""Patrons: they choose fees, pay or not, click twice, use two tabs, and come back after days."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ils_payment_stripe.simulator import NotPayableError

from ils_payment.errors import ILSPaymentError
from ils_payment.flows import pay, see, show, tell
from ils_payment.flows.views import Begun
from tests.faults.instance import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.flows.house import House
    from ils_payment.model import PatronRef
    from tests.faults.setting import Setting

LIBRARY = "lindental"


def start(setting: Setting) -> None:
    """Let every patron of the town live."""
    for patron in setting.patrons:
        person = Person(setting, patron)
        setting.scheduler.spawn(f"patron {patron}", person.live)


class Person:
    """One patron with a browser, or two."""

    def __init__(self, setting: Setting, patron: PatronRef) -> None:
        self.setting = setting
        self.patron = patron
        self.rng = setting.rng
        self.mix = setting.mix
        self.scheduler = setting.scheduler

    def live(self) -> None:
        self.scheduler.sleep(self.rng.uniform(0, 30))
        for _ in range(self.rng.choice(self.setting.size.visits)):
            page = self.look()
            if page is not None:
                self.confirm_all(*page)
                if self.mix.strikes("back_after_days"):
                    self.scheduler.sleep(self.rng.choice((0.6, 1.5, 3)) * 86_400)
                    self.walk(*page)
            self.scheduler.sleep(self.rng.choice((3, 60, 600, 5000)))

    def ask(self, name: str, work: Callable[[House], Any]) -> Any:
        """Have a page served; None when the browser shows an error."""
        instance = self.setting.alive()
        if instance is None:
            return None
        try:
            return instance.call(name, work)
        except BrokenError:
            return None
        except ILSPaymentError as error:
            self.scheduler.note(f"{self.patron}: {name}: {type(error).__name__}")
            return None

    def look(self) -> tuple[list[str], int, str] | None:
        """Open the fees page and tick some of what can be paid: keys, cents and method."""

        def work(house: House) -> Any:
            return see.fees(house, house.libraries[LIBRARY], self.patron)

        view = self.ask("fees", work)
        if view is None:
            return None
        lines = [line for line in view.lines if line.payable]
        if self.rng.random() < 0.4:
            lines = lines[: self.rng.randint(1, 2)]
        cents = sum(line.cents for line in lines)
        if not lines or cents < 100 or cents > view.limit_cents:
            return None
        method = self.rng.choice(("card", "card", "instant_bank_transfer"))
        return [line.key for line in lines], cents, method

    def confirm_all(self, keys: list[str], cents: int, method: str) -> None:
        """Confirm once, or twice at the same time in one of three ways."""
        others = []
        for switch in ("double_click", "two_tabs", "two_devices"):
            if self.mix.strikes(switch):
                again = (keys, cents, "card" if switch == "two_devices" else method)
                if switch == "two_tabs" and len(keys) > 1 and self.rng.random() < 0.5:
                    page = self.look()
                    again = page if page is not None else again
                name = f"patron {self.patron} {switch}"
                others.append(self.scheduler.spawn(name, partial(self.walk, *again)))
        self.walk(keys, cents, method)
        for other in others:
            self.scheduler.join(other)

    def walk(self, keys: list[str], cents: int, method: str) -> None:
        """Confirm the fees, pay at the provider, come back."""

        def work(house: House) -> Any:
            desk = house.libraries[LIBRARY]
            return pay.begin(house, desk, self.patron, keys, method, "de", cents)

        begun = self.ask("begin", work)
        self.scheduler.note(f"{self.patron} confirms {cents} cents by {method}: {_short(begun)}")
        if not isinstance(begun, Begun):
            return
        self.scheduler.sleep(self.rng.choice((0, 2, 20, 200)))
        session = self.session(begun.payment_id)
        if session is not None:
            self.pay(begun.payment_id, session)
        self.come_back(begun.payment_id)

    def session(self, payment_id: str) -> dict[str, Any] | None:
        self.setting.stripe.tick()
        mine = [
            one
            for one in self.setting.stripe.book.sessions.values()
            if one["client_reference_id"] == payment_id and one["status"] == "open"
        ]
        return mine[-1] if mine else None

    def pay(self, payment_id: str, session: dict[str, Any]) -> None:
        """Do what payers do on the provider's page."""
        stripe, rng = self.setting.stripe, self.rng
        method = session["payment_method_types"][0]
        kind = rng.choice(("pay",) * 7 + ("pending", "decline", "leave", "cancel"))
        if self.mix.strikes("paid_wrong_amount"):
            kind = "amount"
        elif self.mix.strikes("paid_wrong_currency"):
            kind = "currency"
        self.scheduler.note(f"{self.patron} at the provider: {kind} {method}")
        try:
            match kind:
                case "pay":
                    stripe.pay(session["id"], method)
                case "pending" if method != "card":
                    stripe.pay_pending(session["id"], method, outcome=rng.choice((True, True, False)))
                case "amount":
                    stripe.pay_other_amount(session["id"], rng.choice((77, 777, 77_777)), method)
                case "currency":
                    stripe.pay_other_currency(
                        session["id"], "chf", session["amount_total"], method, forced=True
                    )
                case "leave":
                    return
                case "cancel":
                    self.ask("cancel", lambda house: pay.cancel(house, payment_id))
                    self._late_money(session, method)
                case _:
                    stripe.decline(session["id"], method)
                    self.scheduler.sleep(5)
                    stripe.pay(session["id"], method)
        except NotPayableError as error:
            self.scheduler.note(f"{self.patron}: {error}")
        self._regret(session)

    def _late_money(self, session: dict[str, Any], method: str) -> None:
        if session["status"] == "expired" and self.mix.strikes("paid_after_end"):
            self.scheduler.sleep(self.rng.choice((1, 100, 3000)))
            self.scheduler.note(f"{self.patron}: the money comes after the end")
            status = self.rng.choice(("complete", "expired"))
            self.setting.stripe.pay_after_expiry(session["id"], method, status=status)

    def _regret(self, session: dict[str, Any]) -> None:
        """Some money goes back again, at the provider alone."""
        if session["payment_status"] != "paid":
            return
        for switch in ("refund_full", "refund_partial", "chargeback", "chargeback_won"):
            if self.mix.strikes(switch):
                after = self.rng.choice((0, 30, 2000))
                back = partial(self._money_back, session, switch)
                self.scheduler.spawn(f"provider {switch}", back, after=after)
                return

    def _money_back(self, session: dict[str, Any], kind: str) -> None:
        stripe = self.setting.stripe
        self.scheduler.note(f"provider: {kind} of {session['id']}")
        match kind:
            case "refund_full" | "refund_partial":
                try:
                    stripe.refund_in_dashboard(session["id"], 1 if kind == "refund_partial" else None)
                except NotPayableError as error:
                    # The staff was faster.
                    self.scheduler.note(f"provider: {error}")
            case "chargeback":
                stripe.dispute(session["id"])
            case _:
                dispute = stripe.dispute(session["id"])
                self.scheduler.sleep(self.rng.choice((60, 5000)))
                stripe.close_dispute(dispute, won=True)

    def come_back(self, payment_id: str) -> None:
        """Land on the return page and look at the status, or close the window instead."""
        if self.rng.random() < 0.3:
            return

        def work(house: House) -> Any:
            house.make_due(payment_id)
            view = show.payment(house, payment_id)
            if view is not None and view.paid_at is not None:
                tell.queue_receipt(house, payment_id, f"kanari{self.setting.seed}x@post.example", "de")
            return view

        for _ in range(self.rng.choice((1, 1, 2))):
            view = self.ask("status", work)
            self.scheduler.note(f"{self.patron} sees {view.state if view is not None else 'an error'}")
            self.scheduler.sleep(self.rng.choice((2, 10)))


def _short(begun: Any) -> str:
    return "an error" if begun is None else getattr(begun, "code", None) or "begun"
