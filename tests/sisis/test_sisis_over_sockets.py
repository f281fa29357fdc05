"""The same adapter over real sockets: TLS, commands in pieces, NCIP2SLNP over HTTP, the demo's library."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ils_payment_sisis.adapter import SISISSystem
from ils_payment_sisis.config import SISISConfig
from ils_payment_sisis.simulator import Fault, SISISSimulator

from ils_payment.errors import RemoteUnavailableError
from ils_payment.model import Applied, CreditOrder, OrderLine, PatronRef, Unavailable
from ils_payment.testing.simulator import TRUTH_PATH, serve
from ils_payment.testing.streams import Conversation, serve_stream
from ils_payment.world import PluginHost, World
from tests.sip2.test_sip2_over_tcp import certificate
from tests.sisis.conftest import CARD, LIBRARY, PASSWORD, PIN, table

HOST = PluginHost(World(), LIBRARY)


@contextmanager
def connected(
    town: SISISSimulator, *, tls: ssl.SSLContext | None = None, ncip: bool = False, **reads: Any
) -> Iterator[SISISSystem]:
    """An adapter before *town*, whose doors are served on this machine."""
    with ExitStack() as stack:
        till, port = stack.enter_context(serve_stream(town.till))
        written = table(slnp=None)
        written["writes"] = {**written["writes"], "host": till, "port": port}
        if ncip:
            written["ncip"] = {"url": f"{stack.enter_context(serve(town))}/ncip2slnp"}
        else:
            host, port = stack.enter_context(serve_stream(town.slnp, tls=tls))
            written["slnp"] = {"host": host, "port": port, "security": "tunnel", **reads}
        yield SISISSystem(SISISConfig.model_validate(written), HOST)


def pays(system: SISISSystem) -> None:
    ref = system.sign_in(CARD, PIN)
    assert isinstance(ref, str), ref
    [fee] = system.account(PatronRef(ref)).fees
    line = OrderLine(ref=None, claim_key="account", cents=fee.cents, kind="account")
    order = CreditOrder(
        patron=PatronRef(ref),
        marker="ILSP-7K3M9Q-4",
        cents=fee.cents,
        currency="EUR",
        method="card",
        lines=(line,),
    )
    assert isinstance(system.settle(order), Applied)


@pytest.mark.parametrize("ncip", [False, True], ids=["slnp", "ncip"])
def test_a_balance_is_read_and_paid(ncip):
    town = SISISSimulator.demo(password=PASSWORD)
    with connected(town, ncip=ncip) as system:
        pays(system)
        assert town.truth()["patrons"][CARD]["balance"] == 0


def test_slnp_is_read_through_tls_and_only_with_a_certificate_that_is_known(tmp_path: Path):
    context, authority = certificate(tmp_path)
    town = SISISSimulator.demo(password=PASSWORD)
    with connected(town, tls=context, host="localhost", security="tls", ca_file=authority) as system:
        pays(system)
    with connected(town, tls=context, host="localhost", security="tls") as system:
        found = system.sign_in(CARD, PIN)
        assert isinstance(found, Unavailable)
        assert "certificate" in found.reason


class InDrops:
    """A server that sends each byte as a packet of its own, and never says goodbye."""

    def __init__(self, inner: Conversation) -> None:
        self._inner = inner
        self.over = False

    def greet(self) -> bytes:
        return self._inner.greet()

    def hear(self, data: bytes) -> bytes:
        return b"".join(self._inner.hear(data[place : place + 1]) for place in range(len(data)))


def test_commands_in_pieces_are_understood():
    town = SISISSimulator.demo(password=PASSWORD)
    accept = town.slnp.open
    town.slnp.open = lambda: InDrops(accept())  # type: ignore[method-assign,assignment,return-value]
    with connected(town) as system:
        pays(system)


def test_a_server_that_says_nothing_costs_the_deadline_and_no_more():
    town = SISISSimulator.demo(password=PASSWORD)
    with connected(town) as system:
        ref = system.sign_in(CARD, PIN)
        assert isinstance(ref, str)
        impatient = SISISSystem(system._config.model_copy(update={"deadline_seconds": 0.3}), HOST)
        town.go_wrong(Fault.SILENT, "SLNPBenutzerKurzKonto")
        with pytest.raises(RemoteUnavailableError, match="too long"):
            impatient.account(PatronRef(ref))


def test_the_demo_brings_its_library_and_shows_its_books(tmp_path: Path):
    def secret(name: str) -> tuple[str, dict[str, str]]:
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(name * 3, encoding="utf-8")
        return name * 3, {"file": str(path)}

    with SISISSimulator.stage_demo(secret, 0) as library:
        own = {key: value for key, value in library.table.items() if key != "plugin"}
        pays(SISISSystem(SISISConfig.model_validate(own), HOST))
        session = HOST.session()
        truth = json.loads(session.get(library.address + TRUTH_PATH).text)
    assert truth["patrons"][CARD]["balance"] == 0
    assert truth["requests"]["37"] == 1
    assert set(library.absent) == {"renew"}
    assert CARD in library.cards


def test_a_server_that_is_gone_is_told_with_what_fits_a_socket():
    with connected(SISISSimulator.demo()) as gone:
        pass
    with pytest.raises(RemoteUnavailableError, match="The SLNP server cannot be reached") as caught:
        gone.find_patron(CARD)
    assert "host and port right" in caught.value.mend
    assert "web server" not in caught.value.mend
