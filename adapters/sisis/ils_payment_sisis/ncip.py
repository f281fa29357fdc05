"""The way through NCIP2SLNP: each question needs the PIN, so patrons are read while they sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from ils_payment.by_card import SignIns
from ils_payment.errors import (
    PinNeededError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnavailableError,
    why_unreachable,
)
from ils_payment_sisis import ncip_wire, records, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Only a name for types: defusedxml does the reading.
    from xml.etree.ElementTree import Element  # nosec B405

    from ils_payment.by_card import PatronRefs
    from ils_payment.model import Account, Card, PatronRef
    from ils_payment.ports import Host
    from ils_payment_sisis.config import NCIPTable, SISISConfig


class NCIPReader:
    """Reads one library's patrons through NCIP2SLNP; remembers the latest sign-ins for some minutes."""

    unattended = False

    def __init__(self, config: SISISConfig, table: NCIPTable, refs: PatronRefs, host: Host) -> None:
        """Keep all of them; no I/O."""
        self._config = config
        self._table = table
        self._refs = refs
        self._host = host
        self._sign_ins = SignIns(host, table.remember_minutes * 60)

    def sign_in(self, card: str, pin: str) -> PatronRef | None:
        """Read account and card with the PIN; None for a wrong combination. Raises RemoteError."""
        try:
            ref, account, read = self.read(card, pin)
        except wire.OpsError as error:
            if error.ops_id in {wire.WRONG_PIN, *self._config.absent_errors}:
                return None
            raise
        except ValueError:
            return None
        self._sign_ins.keep(ref, account, read)
        return ref

    def read(self, card: str, pin: str) -> tuple[PatronRef, Account, Card]:
        """Ask for address data, fees and blocks, one by one. Raises RemoteError, ValueError."""
        with self._host.session(deadline=self._config.deadline_seconds, max_bytes=wire.MAX_BYTES) as session:
            data = self._ask(session, card, pin, ncip_wire.ADDRESS)
            fiscal = self._ask(session, card, pin, ncip_wire.FISCAL)
            blocks = ncip_wire.blocks(self._ask(session, card, pin, ncip_wire.BLOCKS))
        currency = self._host.library.currency
        balance, positions = ncip_wire.fees(fiscal, self._config.amounts, currency)
        account = records.account(balance, positions, currency, self._host.now())
        today = self._host.library.day_of(self._host.now())
        person = ncip_wire.person(data)
        read = records.card(person, ncip_wire.expiry(data), blocks, self._config.block_kinds, today)
        return self._refs.ref(person.number), account, read

    def find(self, card: str) -> PatronRef | None:
        """Refuse: nobody is found without a PIN."""
        raise _pin_needed()

    def account(self, ref: PatronRef) -> Account:
        """Return the account as it was at the sign-in; PinNeededError when that is too long ago."""
        return self._remembered(ref)[0]

    def card(self, ref: PatronRef) -> Card:
        """Return the card as it was at the sign-in; PinNeededError when that is too long ago."""
        return self._remembered(ref)[1]

    def forget(self, ref: PatronRef) -> None:
        """Forget what was read of a patron whose account changes."""
        self._sign_ins.forget(ref)

    def _remembered(self, ref: PatronRef) -> tuple[Account, Card]:
        found = self._sign_ins.of(ref)
        if found is None:
            raise _pin_needed()
        return found

    def _ask(
        self, session: requests.Session, card: str, pin: str, desired: Sequence[tuple[str, str]]
    ) -> Element:
        body = ncip_wire.question(card, pin, desired)
        headers = {"content-type": ncip_wire.CONTENT_TYPE}
        try:
            with session.post(self._table.url, data=body, headers=headers) as answer:
                code, said = answer.status_code, answer.content
        except requests.exceptions.ContentDecodingError:
            raise RemoteGarbledError("The NCIP2SLNP gateway sent too much.") from None
        except requests.RequestException as error:
            # The error's own text holds the address, so it goes no further.
            why, mend = why_unreachable(error)
            raise RemoteUnavailableError(
                f"The NCIP2SLNP gateway cannot be reached: {why or type(error).__name__}.", mend=mend
            ) from None
        if code in {401, 403, 404}:
            raise RemoteRefusedError(
                f"The NCIP2SLNP gateway refuses us (HTTP {code}).",
                mend="Is url right, and may this host ask it?",
            )
        if code != 200:
            raise RemoteUnavailableError(f"The NCIP2SLNP gateway failed (HTTP {code}).")
        return ncip_wire.answer(said, card)


def _pin_needed() -> PinNeededError:
    return PinNeededError(
        "The NCIP2SLNP gateway answers with the patron's PIN only.",
        mend="Where the library has SLNP, write the table slnp in place of ncip; see docs/sisis.md.",
    )
