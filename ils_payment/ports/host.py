"""What a plugin gets: its own configuration, and the host through which it reaches everything outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import socket
    from datetime import date, datetime

    import requests


class PluginConfig(BaseModel):
    """The base of every plugin's ``Config``: frozen, and an unknown key is an error.

    Field descriptions are shown by ``ils-payment init`` and in the documentation; a field with
    ``examples`` is written with its first one, every other optional field as a comment. A field of type
    :data:`~ils_payment.secret.Secret` can only be given as ``{ env = ... }``, ``{ file = ... }`` or
    ``{ credential = ... }``.
    ``first_method``, of a payment provider: the method that ``init`` writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_method: ClassVar[str] = "card"


class LibraryInfo(BaseModel):
    """What a plugin may know of the library it works for."""

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    currency: str
    languages: tuple[str, ...]
    time_zone: str

    def day_of(self, instant: datetime) -> date:
        """Return the day of *instant* (timezone-aware) at the library."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


class Host(Protocol):
    """The world as a plugin sees it; one host for each library and plugin."""

    library: LibraryInfo

    def now(self) -> datetime:
        """Return the current instant (timezone-aware, UTC)."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back, for deadlines."""

    def session(
        self,
        *,
        deadline: float = 20.0,
        max_bytes: int = 5 * 1024 * 1024,
        certificate: tuple[str, str] | None = None,
    ) -> requests.Session:
        """Return a new HTTP session with the rules of the house.

        Every call ends within ``deadline`` seconds in all (``requests.Timeout`` otherwise; only headers
        that trickle in are waited for longer) and reads at most ``max_bytes``. TLS is verified against
        the authorities that requests brings, and those of ``server.ca_bundle``; redirects are not
        followed; nothing is retried; no netrc file is read.
        *certificate*: the files (PEM) of our own certificate and its key, for remotes that ask for one.
        """

    def connect(self, address: tuple[str, int], *, deadline: float = 20.0) -> socket.socket:
        """Return a connected TCP socket, for protocols that are not HTTP; OSError otherwise."""

    def failpoint(self, name: str) -> None:
        """Mark a point at which a test may crash or delay the program; does nothing in real life."""
