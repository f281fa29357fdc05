"""The way through SLNP: patrons are read without a PIN, at any hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment.errors import RemoteAbsentError, RemoteGarbledError, RemoteUnavailableError
from ils_payment_sisis import client, records, wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import date

    from ils_payment.by_card import PatronRefs
    from ils_payment.model import Account, Card, PatronRef
    from ils_payment.ports import Host
    from ils_payment_sisis.client import Talk
    from ils_payment_sisis.config import SISISConfig, SLNPTable
    from ils_payment_sisis.records import Position

_ACCOUNT = ("BenutzerNummer", "Soll", "Gut")
_BLOCKS = ("BenutzerNummer", "Sperre", "SperrVermerk")
_RECORD = (*_BLOCKS, "AusweisEnde", "GeburtsDatum")


class SLNPReader:
    """Reads one library's patrons through SLNP. Keeps nothing."""

    unattended = True

    def __init__(self, config: SISISConfig, table: SLNPTable, refs: PatronRefs, host: Host) -> None:
        """Keep all of them; no I/O."""
        self._config = config
        self.table = table
        self._refs = refs
        self._host = host

    def talk(self) -> AbstractContextManager[Talk]:
        """Connect for one piece of work."""
        return client.talk(self.table, self._host, self._config.deadline_seconds)

    def sign_in(self, card: str, pin: str) -> PatronRef | None:
        """Return who signs in, None for a wrong combination. Raises RemoteError."""
        parameters = [("BenutzerNummer", card), ("Kennwort", pin), ("BenutzerAktion", "AKTIONKontoAnzeige")]
        try:
            with self.talk() as talking:
                verdict = talking.ask(wire.CHECK_PIN, parameters, ("Ergebnis",)).one("Ergebnis")
                if verdict != "J":
                    # What else it may say is not publicly known, so it is no verdict on the PIN.
                    raise RemoteUnavailableError("SISIS neither accepts nor refuses the PIN.")
                return self._ref(talking, card)
        except client.UnsayableError:
            return None
        except wire.OpsError as error:
            if error.ops_id in {wire.WRONG_PIN, *self._config.absent_errors}:
                return None
            raise

    def find(self, card: str) -> PatronRef | None:
        """Return the patron with exactly this card number. Raises RemoteError."""
        try:
            with self.talk() as talking:
                return self._ref(talking, card)
        except (client.UnsayableError, RemoteAbsentError):
            return None

    def account(self, ref: PatronRef) -> Account:
        """Read what is owed, and the fees where the site has a command for them. Raises RemoteError."""
        card, form, currency = self._refs.card(ref), self._config.amounts, self._host.library.currency
        with self.talk() as talking:
            short = self._asked(talking, wire.SHORT_ACCOUNT, card, _ACCOUNT)
            owed = short.one("Soll")
            if owed is None:
                raise RemoteGarbledError("SISIS does not say what the patron owes (Soll).")
            positions = list(self.positions(talking, card))
        credit = records.cents(short.one("Gut") or "0", form, currency)
        balance = records.cents(owed, form, currency) - credit
        return records.account(balance, positions, currency, self._host.now())

    def card(self, ref: PatronRef) -> Card:
        """Read blocks and the end of the card. Raises RemoteError."""
        with self.talk() as talking:
            return self.card_in(talking, ref)

    def card_in(self, talking: Talk, ref: PatronRef) -> Card:
        """Read blocks and the end of the card on a connection that stands."""
        number = self._refs.card(ref)
        command, keys = (wire.WHOLE_RECORD, _RECORD) if self.table.record else (wire.SHORT_ACCOUNT, _BLOCKS)
        group = self.table.category_key
        answer = self._asked(talking, command, number, (*keys, group) if group else keys)
        until = records.day(answer.one("AusweisEnde"), "end of the card (AusweisEnde)")
        found = records.blocks(answer.one("Sperre"), answer.one("SperrVermerk"))
        category = records.line(answer.one(group) or "") if group else ""
        person = records.Person(number, category, records.birth_date(answer.one("GeburtsDatum")))
        return records.card(person, until, found, self._config.block_kinds, self._today())

    def positions(self, talking: Talk, card: str) -> Iterator[Position]:
        """Yield the open fees by the site's own command, where there is one. Raises RemoteError."""
        own = self.table.fees
        if own is None:
            return
        form, currency = self._config.amounts, self._host.library.currency
        for unit in talking.ask(own.command, own.filled(card=card), own.keys).units:
            if own.header in unit or own.amount not in unit:
                continue
            yield records.Position(
                records.cents(unit[own.amount], form, currency),
                unit.get(own.text, ""),
                records.day(unit.get(own.day), "day of a fee"),
            )

    def forget(self, ref: PatronRef) -> None:
        """Forget nothing: everything is read fresh."""

    def _ref(self, talking: Talk, card: str) -> PatronRef:
        """Return the reference of a card; in capitals where SISIS does not say how it writes the number.

        Else one patron would have two references, and two payments at once.
        """
        said = self._asked(talking, wire.SHORT_ACCOUNT, card, ("BenutzerNummer",)).one("BenutzerNummer")
        return self._refs.ref((said or card.upper()).strip())

    def _asked(self, talking: Talk, command: str, card: str, keys: tuple[str, ...]) -> wire.Answer:
        """Ask about one patron, and make sure that the answer is not about another one."""
        try:
            answer = talking.ask(command, [("BenutzerNummer", card)], keys)
        except wire.OpsError as error:
            if error.ops_id in self._config.absent_errors:
                raise RemoteAbsentError("SISIS has no such patron.") from None
            raise
        said = answer.one("BenutzerNummer")
        if said is not None and not records.same_card(said, card):
            raise RemoteGarbledError(
                "The SLNP server's answer is about another patron.",
                mend="If it stays: does a gateway in between mix up connections?",
            )
        return answer

    def _today(self) -> date:
        return self._host.library.day_of(self._host.now())
