"""The doors of an eLending platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ils_payment.model import (
        Account,
        Answer,
        Card,
        ELendingCapabilities,
        Finding,
        PatronRef,
        Question,
        RawRequest,
        Refused,
        Reply,
        Unavailable,
    )
    from ils_payment.ports.host import Host, PluginConfig


class LibraryReader(Protocol):
    """The library system as an eLending platform may see it: questions only, limited by the core."""

    def sign_in(self, card: str, pin: str) -> PatronRef | Refused | Unavailable:
        """Ask as :meth:`LibrarySystem.sign_in`; after too many wrong PINs ``Refused`` without asking."""

    def account(self, patron: PatronRef) -> Account:
        """Read fees and balance fresh. Raises RemoteError."""

    def card(self, patron: PatronRef) -> Card:
        """Read the card fresh. Raises RemoteError."""


@runtime_checkable
class ELendingPlatform(Protocol):
    """An eLending platform of one library: tells whether it lends to a patron now. Money never moves here."""

    Config: ClassVar[type[PluginConfig]]

    def __init__(self, config: Any, host: Host) -> None:  # noqa: ANN401 - each plugin has its own Config
        """Keep *config* (an instance of ``Config``) and *host*. No I/O here."""

    def capabilities(self) -> ELendingCapabilities:
        """Return what this platform can do, from configuration alone, without I/O."""

    def check(self) -> list[Finding]:
        """Test what can be tested without a patron; called by ``ils-payment check`` only."""

    def ask(self, question: Question) -> Answer:
        """Say what the platform says of this patron, or would say. Raises RemoteError.

        Called after a payment was settled or a card renewed, unattended (no PIN), and from the page
        while the patron has just entered the PIN. ``asked`` only when the platform, or what it asks
        itself, gave the answer.
        """


@runtime_checkable
class Serving(Protocol):
    """A platform that asks us at each login; needs the capability ``inbound``."""

    def serve(self, request: RawRequest, source: str, reader: LibraryReader) -> Reply:
        """Answer the platform's question, posted to ``/elending/{library}/{name}``.

        Never raises for bad input. *source* is the asking address, after trusted proxies. Nothing
        personal may be logged or kept.
        """
