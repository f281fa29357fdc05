"""The contract kits on a real test system.

``pytest -p ils_payment.testing.kit --pyargs ils_payment.testing.live`` proves what is asked and what is read
there; what needs a hand on the remote (new patrons, payers, lost answers) is skipped and says so.
Environment variables name the system:

* ``ILS_PAYMENT_LIVE_LIBRARY_SYSTEM``: the name of the plugin; ``ILS_PAYMENT_LIVE_CARD`` and ``..._PIN``: a
  patron of the test system whose PIN may be typed wrong some times.
* ``ILS_PAYMENT_LIVE_MAY_BOOK=yes``: what this patron owes may be settled, for good.
* ``ILS_PAYMENT_LIVE_PROVIDER``: the name of the plugin; its credentials must be those for play money.
* ``ILS_PAYMENT_LIVE_TABLE``: a TOML file with the plugin's table, as in the configuration.
* ``ILS_PAYMENT_LIVE_LIBRARY``: the library's key in the addresses of webhooks (live).
* ``ILS_PAYMENT_LIVE_MINIMUM``: the smallest sum that the provider takes, in cents (100).
* ``ILS_PAYMENT_LIVE_CURRENCY`` (EUR) and ``ILS_PAYMENT_LIVE_TIME_ZONE`` (Europe/Berlin).
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ils_payment.model import Applied, MarkerSupport
from ils_payment.plugins import Plugins
from ils_payment.ports import LibraryInfo
from ils_payment.testing.kit import declared
from ils_payment.testing.library_system import LibrarySystemContract
from ils_payment.testing.library_system.base import MARKER
from ils_payment.testing.provider import ProviderContract
from ils_payment.testing.stands import CannotStageError, LibraryStand, Person, ProviderStand, Stand
from ils_payment.world import PluginHost, World

if TYPE_CHECKING:
    import socket

    from ils_payment.ports import LibrarySystem, PaymentProvider

_SYSTEM, _PROVIDER = "ILS_PAYMENT_LIVE_LIBRARY_SYSTEM", "ILS_PAYMENT_LIVE_PROVIDER"


def _named(name: str, default: str | None = None) -> str:
    found = os.environ.get(name, default)
    if found is None:
        raise CannotStageError(f"the environment variable {name} is not set")
    return found


class _LiveWorld(World):
    """The real world, from which the remote can be cut off."""

    cut_off = False

    def session(self, *, deadline: float, max_bytes: int) -> requests.Session:
        """Return a real session, or one that reaches nobody."""
        return _Unplugged() if self.cut_off else super().session(deadline=deadline, max_bytes=max_bytes)

    def connect(self, address: tuple[str, int], *, deadline: float) -> socket.socket:
        """Return a real connection, or refuse it."""
        if self.cut_off:
            raise ConnectionRefusedError("cut off for a test")
        return super().connect(address, deadline=deadline)


class _Unplugged(requests.Session):
    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own signature
        """Fail as a refused connection does."""
        raise requests.ConnectionError("cut off for a test", request=request)


class _LiveStand(Stand):
    """A real system behind the table of a file."""

    name = "live"

    def __init__(self) -> None:
        super().__init__()
        self.nonce = f"-{self.world.new_id()}"

    def make_world(self) -> World:
        """Return the real world."""
        return _LiveWorld()

    def go_away(self) -> None:
        """Cut ourselves off."""
        assert isinstance(self.world, _LiveWorld)
        self.world.cut_off = True

    def built(self, kind: type[Any]) -> Any:  # noqa: ANN401 - a library system or a provider
        """Return the plugin *kind* with the table of the file."""
        table = tomllib.loads(Path(_named("ILS_PAYMENT_LIVE_TABLE")).read_text(encoding="utf-8"))
        library = LibraryInfo(
            key=_named("ILS_PAYMENT_LIVE_LIBRARY", "live"),
            name="Test",
            currency=_named("ILS_PAYMENT_LIVE_CURRENCY", "EUR"),
            languages=("de", "en"),
            time_zone=_named("ILS_PAYMENT_LIVE_TIME_ZONE", "Europe/Berlin"),
        )
        config = kind.Config.model_validate({key: table[key] for key in table if key != "plugin"})
        return kind(config, PluginHost(self.world, library))


class LiveLibraryStand(_LiveStand, LibraryStand):
    """A library system's test installation with one patron."""

    def open(self) -> LibrarySystem:
        """Return the adapter."""
        name = _named(_SYSTEM)
        system: LibrarySystem = self.built(Plugins({name}).library_system(name))
        return system

    def someone(self) -> Person:
        """Return the patron of the environment variables."""
        card, pin = _named("ILS_PAYMENT_LIVE_CARD"), _named("ILS_PAYMENT_LIVE_PIN", "")
        return Person(card=card, pin=pin, key=card)


class LiveProviderStand(_LiveStand, ProviderStand):
    """A provider's account for play money."""

    minimum = int(os.environ.get("ILS_PAYMENT_LIVE_MINIMUM", "100"))

    def open(self) -> PaymentProvider:
        """Return the provider."""
        name = _named(_PROVIDER)
        provider: PaymentProvider = self.built(Plugins({name}).provider(name))
        return provider


if _SYSTEM in os.environ:

    class TestLiveLibrarySystem(LibrarySystemContract):
        """The contract, and one settle call where that is allowed."""

        on = LiveLibraryStand

        @declared(unattended_read=True)
        def test_what_the_patron_owes_is_settled_where_that_is_allowed(self) -> None:
            """Pay all fees of the patron, and read afterwards."""
            if os.environ.get("ILS_PAYMENT_LIVE_MAY_BOOK") != "yes":
                pytest.skip("ILS_PAYMENT_LIVE_MAY_BOOK is not yes")
            person = self.patron()
            before = self.account(person)
            assert before.fees, "the patron owes nothing; charge a fee first"
            order = self.order(person)
            outcome = self.settle(order)
            assert isinstance(outcome, Applied)
            assert self.account(person).balance == before.balance - order.cents
            if self.can.marker is MarkerSupport.READABLE:
                found = self.system.find_credits(order.patron, MARKER)
                assert outcome.remote_ref in {credit.remote_ref for credit in found}


if _PROVIDER in os.environ:

    class TestLiveProvider(ProviderContract):
        """The contract, as far as nobody has to pay."""

        on = LiveProviderStand
