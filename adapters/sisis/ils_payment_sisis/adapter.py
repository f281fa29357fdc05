"""SISIS-SunRise: read through SLNP or NCIP2SLNP, written to through SIP2.

No command of SLNP that marks fees as paid is publicly known, so money is written with message 37 of SIP2,
by the very code of the plugin ``sip2``. SISIS names no single fee: the whole balance is paid at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ils_payment_sip2.adapter import SIP2System

from ils_payment.by_card import PatronRefs
from ils_payment.errors import RemoteAbsentError, RemoteError, RemoteRefusedError
from ils_payment.model import NotApplied, Refused, RenewSupport, Unavailable
from ils_payment_sisis import checks, renewing
from ils_payment_sisis.config import SISISConfig
from ils_payment_sisis.ncip import NCIPReader
from ils_payment_sisis.slnp import SLNPReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ils_payment.model import (
        Account,
        Card,
        Credit,
        CreditOrder,
        Fee,
        Finding,
        PatronRef,
        RenewOrder,
        RenewOutcome,
        SettleOutcome,
        SystemCapabilities,
    )
    from ils_payment.ports import Host, PluginConfig
    from ils_payment_sisis.config import RenewCommand


class SISISSystem:
    """The library system of one library with SISIS-SunRise; see :class:`ils_payment.ports.LibrarySystem`."""

    Config: ClassVar[type[PluginConfig]] = SISISConfig

    def __init__(self, config: SISISConfig, host: Host) -> None:
        self._config = config
        self._host = host
        self._till = SIP2System(config.writes, host)
        # The plugin for SIP2 pays, so references are its own.
        self._refs = PatronRefs(config.writes.patron_key, "sip2")
        self._reader = _reader(config, self._refs, host)

    def capabilities(self) -> SystemCapabilities:
        """As of SIP2 where money moves; how one reads, and whether cards are renewed, is the site's."""
        own = self._renew_command
        by = RenewSupport.NO
        if own is not None:
            by = RenewSupport.GIVEN_DATE if own.names_the_day else RenewSupport.BY_RULE
        return replace(
            self._till.capabilities(), unattended_read=self._reader.unattended, can_renew=by, sign_in=True
        )

    def check(self) -> list[Finding]:
        """Test the way of reading and the way of writing, without any message that could pay or renew."""
        return checks.run(self._reader, self._till, self._config)

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask with the PIN; only an explicit yes signs in."""
        card = card.strip()
        if not card or not pin or not card.isprintable() or not pin.isprintable():
            return Refused()
        try:
            return self._reader.sign_in(card, pin) or Refused()
        except RemoteAbsentError:
            return Refused()
        except RemoteError as error:
            return Unavailable(str(error))

    def find_patron(self, card: str) -> PatronRef | None:
        """Ask without a PIN whether there is such a card; PinNeededError through NCIP2SLNP."""
        card = card.strip()
        if not card or not card.isprintable():
            return None
        return self._reader.find(card)

    def account(self, patron: PatronRef) -> Account:
        """Read what is owed: fresh through SLNP, as it was at the sign-in through NCIP2SLNP."""
        return self._reader.account(patron)

    def card(self, patron: PatronRef) -> Card:
        """Read blocks and the end of the card: fresh, or as it was at the sign-in."""
        return self._reader.card(patron)

    def titles(self, fees: Sequence[Fee]) -> Mapping[str, str]:
        """Return nothing: the one fee stands for all."""
        return {}

    def settle(self, order: CreditOrder) -> SettleOutcome:
        """Send one message 37 of SIP2: **money moves here**. The outcomes are those of ``sip2``."""
        # Whatever comes of it, what was read at the sign-in is not true any more.
        self._reader.forget(order.patron)
        return self._till.settle(order)

    def find_credits(self, patron: PatronRef, marker: str) -> Sequence[Credit]:
        """Refuse: neither way shows a marker again. The core does not ask."""
        raise RemoteRefusedError("SISIS cannot read markers back.")

    def recent_credits(self, patron: PatronRef, since: datetime) -> Sequence[Credit]:
        """Refuse: neither way lists credits. The core does not ask."""
        raise RemoteRefusedError("SISIS cannot list credits.")

    def renew_card(self, order: RenewOrder) -> RenewOutcome:
        """Send the library's own command, where it has configured one; outcomes: :data:`renewing.ERRORS`."""
        command, reader = self._renew_command, self._reader
        if command is None or not isinstance(reader, SLNPReader):
            return NotApplied(reason="sisis_has_no_command_to_renew", permanent=True)
        problem = renewing.order_problem(order, command)
        if problem is not None:
            return NotApplied(reason=problem, permanent=True)
        try:
            card = self._refs.card(order.patron)
            with reader.talk() as talking:
                read = lambda: reader.card_in(talking, order.patron)  # noqa: E731 - bound to this connection
                return renewing.renew(talking, card, order, command, read, self._host)
        except RemoteAbsentError:
            return NotApplied(reason="sisis_patron_missing", permanent=True)
        except RemoteError as error:
            # It was raised before the command was sent: afterwards nothing is raised any more.
            return NotApplied(reason=f"sisis_not_sent: {error}")

    @property
    def _renew_command(self) -> RenewCommand | None:
        return self._config.slnp.renew if self._config.slnp else None


def _reader(config: SISISConfig, refs: PatronRefs, host: Host) -> SLNPReader | NCIPReader:
    if config.slnp is not None:
        return SLNPReader(config, config.slnp, refs, host)
    if config.ncip is not None:
        return NCIPReader(config, config.ncip, refs, host)
    raise ValueError("the configuration has neither slnp nor ncip")  # pragma: no cover - the model sees to it
