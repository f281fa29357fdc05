"""Who comes to a pair: patrons who pay, a clerk at the library's desk, clerks and a treasurer over cases."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from ils_payment.flows import pay, show
from ils_payment.model import PatronRef, ReadSupport
from ils_payment.testing.stands import CannotStageError, NotPayable
from tests.faults.actors.cards import Holder
from tests.faults.actors.office import Office
from tests.faults.actors.patrons import LIBRARY
from tests.faults.actors.patrons import Person as Visitor
from tests.faults.pairs.stage import Taken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ils_payment.flows.house import House
    from ils_payment.testing.stands import Person
    from tests.faults.pairs.stage import PairStage


def start(stage: PairStage) -> None:
    """Let patrons, desk and office begin."""
    for number, person in enumerate(stage.people):
        payer = (CardHolder if stage.sells_cards and number % 2 == 0 else Payer)(stage, person)
        stage.scheduler.spawn(f"patron {number}", payer.live)
    stage.scheduler.spawn("desk", lambda: _desk(stage))
    office = PairOffice(stage)
    if office.deeds:
        stage.scheduler.spawn("office", office.work)


def calm(stage: PairStage) -> None:
    """Let the staff come in after the faults, too."""
    office = PairOffice(stage)
    for after in (60, 12_000, 40_000, 80_000):
        if office.deeds:
            stage.scheduler.spawn("office", office.visit, after=after)


class Payer(Visitor):
    """A patron who signs in anew for each visit, and pays on whatever page the provider has."""

    stage: PairStage

    def __init__(self, stage: PairStage, person: Person) -> None:
        super().__init__(stage, PatronRef(""))  # type: ignore[arg-type]  # what it needs of a stage is there
        self.stage = stage
        self.person = person

    def look(self) -> tuple[list[str], int, str] | None:
        """Sign in, and open the fees page."""
        return super().look() if self.sign_in() else None

    def sign_in(self) -> bool:
        """Sign in with card and PIN; False when that did not work."""

        def work(house: House) -> Any:
            return house.libraries[LIBRARY].system.sign_in(self.person.card, self.person.pin)

        ref = self.ask("sign in", work)
        if not isinstance(ref, str):
            self.scheduler.note(f"sign in: {type(ref).__name__}")
            return False
        self.patron = PatronRef(ref)
        return True

    def session(self, payment_id: str) -> Any:
        """Return the session whose address the program knows."""
        rows = self.stage.query(
            "SELECT session_ref FROM attempts WHERE payment_id = ? AND session_ref IS NOT NULL "
            "ORDER BY number DESC",
            payment_id,
        )
        return rows[0]["session_ref"] if rows else None

    def pay(self, payment_id: str, session: Any) -> None:
        """Do what payers do on the provider's page."""
        stage, rng, provider = self.stage, self.rng, self.stage.provider
        (row,) = stage.query("SELECT method FROM payments WHERE id = ?", payment_id)
        method = row["method"]
        kind = rng.choice(("pay",) * 7 + ("pending", "decline", "leave", "cancel"))
        if not self._repeats_what_was_asked() and self.mix.strikes("paid_wrong_amount"):
            kind = "amount"
        self.scheduler.note(f"{self.person.key} at the provider: {kind} {method}")
        try:
            match kind:
                case "pay":
                    self._paid(payment_id, session, method)
                case "pending" if method != "card":
                    self._paid_later(payment_id, session)
                case "amount":
                    self._paid(payment_id, session, method, cents=rng.choice((177, 777, 77_777)))
                case "leave":
                    return
                case "cancel":
                    self.ask("cancel", lambda house: pay.cancel(house, payment_id))
                case _:
                    provider.decline(session, method)
                    stage.stir()
                    self.scheduler.sleep(5)
                    self._paid(payment_id, session, method)
        except (NotPayable, CannotStageError) as error:
            self.scheduler.note(f"{self.person.key}: {error!r}")

    def _repeats_what_was_asked(self) -> bool:
        """Tell whether reading names the sum of the page: there nobody pays another one."""
        can = self.stage.provider_can
        return can.notices_decide and can.read is ReadSupport.FULL

    def _paid(self, payment_id: str, session: str, method: str, cents: int | None = None) -> None:
        self.stage.provider.pay(session, method, cents=cents)
        self._took(payment_id, session, cents)

    def _paid_later(self, payment_id: str, session: str) -> None:
        provider = self.stage.provider
        provider.pay_later(session, "instant_bank_transfer")
        self.stage.stir()
        success = self.rng.choice((True, True, False))
        cents = self._cents(session)

        def decide() -> None:
            provider.decide(session, success=success)
            if success:
                self._took(payment_id, session, cents)
            self.stage.stir()

        self.scheduler.spawn("the bank", decide, after=self.rng.choice((60, 4000, 90_000)))

    def _took(self, payment_id: str, session: str, cents: int | None) -> None:
        self.stage.truth.taken.append(Taken(payment_id, session, cents or self._cents(session)))
        self.stage.stir()
        for switch in ("refund_partial", "chargeback"):
            if self.mix.strikes(switch):
                self.scheduler.sleep(self.rng.choice((5, 900)))
                self._goes_back(payment_id, session, switch)

    def _goes_back(self, payment_id: str, session: str, switch: str) -> None:
        """Let money go back at the provider alone."""
        stage = self.stage
        try:
            if switch == "chargeback":
                stage.provider.charge_back(session)
                stage.truth.charged_back.add(payment_id)
            else:
                stage.provider.refund_by_hand(session, 1)
        except (CannotStageError, NotPayable) as error:
            # There is no such thing at this provider, or the staff was faster.
            self.scheduler.note(f"provider: {error!r}")
            return
        self.scheduler.note(f"provider: {switch} of {session}")
        stage.stir()

    def _cents(self, session: str) -> int:
        (seen,) = [one for one in self.stage.provider.sessions() if one.ref == session]
        return seen.cents

    def come_back(self, payment_id: str) -> None:
        """Come back with what the provider adds to the way back, or close the window instead."""
        if self.rng.random() < 0.3:
            return
        session = self.session(payment_id)
        params: Mapping[str, str] = {}
        if self.stage.provider_can.read is ReadSupport.WITH_RETURN and session is not None:
            params = self.stage.provider.return_params(session) or {}
        self.ask("return", lambda house: pay.come_back(house, payment_id, params))
        view = self.ask("status", lambda house: show.payment(house, payment_id))
        self.scheduler.note(f"{self.person.key} sees {view.state if view is not None else 'an error'}")


class CardHolder(Payer, Holder):
    """A patron whose card ends soon, and who pays for its renewal, sometimes together with the fees."""

    def look_at_card(self) -> tuple[list[str], int, date, str] | None:
        """Sign in, and open the card's page."""
        return super().look_at_card() if self.sign_in() else None


def _desk(stage: PairStage) -> None:
    """Take cash, charge more, and block, at any moment."""
    rng = Random(f"{stage.seed} the desk")
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        stage.scheduler.sleep(rng.choice((2, 20, 60, 300, 3000)))
        if stage.mix.calm:
            return
        person = rng.choice(stage.people)
        deed = rng.choice(("pay", "pay", "charge", "grow", "block", *("renew",) * stage.sells_cards))
        owed = sum(stage.library.open_fees(person))
        stage.scheduler.note(f"desk: {deed} for {person.key}, who owes {owed}")
        try:
            match deed:
                case "pay" if owed:
                    first = next(cents for cents in stage.library.open_fees(person) if cents)
                    stage.library.pay_at_desk(person, rng.choice((first, rng.randint(1, first))))
                case "charge":
                    stage.charge(person, rng)
                case "grow" if len(stage.library.open_fees(person)) == 1:
                    stage.library.grow(person, rng.randint(1, 500))
                case "renew":
                    stage.library.renew_at_desk(person)
                    stage.truth.desk_renewals += 1
                case "block":
                    stage.library.block(person)
        except CannotStageError as error:
            stage.scheduler.note(f"desk: {error}")


class PairOffice(Office):
    """The staff desk; who sits there looks into the library system of this pair."""

    def __init__(self, stage: PairStage) -> None:
        super().__init__(stage)  # type: ignore[arg-type]  # what it needs of a stage is there
        self.stage = stage

    def _is_credited(self, payment_id: str | None) -> bool:
        rows = self.stage.query("SELECT marker FROM credit_orders WHERE payment_id = ?", payment_id or "")
        ours = {row["marker"] for row in rows}
        return any(
            one.marker in ours for person in self.stage.people for one in self.stage.library.credits(person)
        )
