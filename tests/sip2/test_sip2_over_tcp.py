"""The same adapter over real sockets: TLS, answers in pieces, many at once; what it logs and says."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ils_payment_sip2.adapter import SIP2System
from ils_payment_sip2.client import SIP2Client
from ils_payment_sip2.config import SIP2Config
from ils_payment_sip2.dialect import dialect_of
from ils_payment_sip2.simulator import Fault, SIP2Simulator

from ils_payment.errors import RemoteError, RemoteUnavailableError
from ils_payment.model import Applied, CreditOrder, NotApplied, OrderLine, PatronRef, Unavailable, Unclear
from ils_payment.testing import streams
from ils_payment.testing.streams import serve_stream
from ils_payment.world import PluginHost, World
from tests.sip2.conftest import CARD, LIBRARY, PASSWORD, PIN, table

HOST = PluginHost(World(), LIBRARY)


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context for localhost, and the file with the authority it is signed by: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, str(public)


def system_at(address: tuple[str, int], **changes: Any) -> SIP2System:
    written = table(host=address[0], port=address[1], deadline_seconds=1.0, **changes)
    return SIP2System(SIP2Config.model_validate(written), HOST)


@pytest.fixture
def server() -> SIP2Simulator:
    return SIP2Simulator.demo(dialect=dialect_of("generic", {"reads_without_pin": True}), password=PASSWORD)


@pytest.fixture
def address(server: SIP2Simulator) -> Iterator[tuple[str, int]]:
    with serve_stream(server) as served:
        yield served


def order(patron: PatronRef, cents: int = 1250) -> CreditOrder:
    line = OrderLine(ref=None, claim_key="account", cents=cents, kind="account")
    return CreditOrder(
        patron=patron, marker="ILSP-7K3M9Q-4", cents=cents, currency="EUR", method="card", lines=(line,)
    )


def signed_in(system: SIP2System) -> PatronRef:
    ref = system.sign_in(CARD, PIN)
    assert isinstance(ref, str), ref
    return PatronRef(ref)


def test_a_payment_goes_through_tls(tmp_path, server):
    context, authority = certificate(tmp_path)
    with serve_stream(server, tls=context) as (_, port):
        system = system_at(("localhost", port), security="tls", ca_file=authority)
        ref = signed_in(system)
        assert isinstance(system.settle(order(ref)), Applied)
        assert system.account(ref).balance == 0
        assert server.truth()["requests"]["93"] == 1
        system._client.close_idle()


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path, server):
    context, _ = certificate(tmp_path)
    with serve_stream(server, tls=context) as (_, port):
        answer = system_at(("localhost", port), security="tls").sign_in(CARD, PIN)
    assert isinstance(answer, Unavailable)
    assert "certificate is not accepted" in answer.reason


def test_nothing_is_said_in_clear_to_a_server_without_tls(server, address):
    answer = system_at(address, security="tls").sign_in(CARD, PIN)
    assert isinstance(answer, Unavailable)
    assert server.truth()["requests"] == {}


def test_an_answer_in_many_pieces_is_one_answer(server, address, monkeypatch):
    def converse(conversation: Any, link: Any) -> None:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not conversation.over and (data := link.recv(3)):
            answer = conversation.hear(data)
            for place in range(0, len(answer), 7):
                link.sendall(answer[place : place + 7])

    monkeypatch.setattr(streams, "_converse", converse)
    system = system_at(address)
    assert system.account(signed_in(system)).balance == 1250


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.CUT, Fault.SILENT, Fault.DAMAGED_FOR_EVER])
def test_a_lost_answer_to_a_payment_is_unclear_within_the_deadline(server, address, fault):
    system = system_at(address)
    ref = signed_in(system)
    server.go_wrong(fault)
    before = HOST.monotonic()
    assert isinstance(system.settle(order(ref)), Unclear)
    assert HOST.monotonic() - before < 3
    assert server.truth()["requests"]["37"] == 1


def test_a_server_that_drips_cannot_hold_a_question_beyond_its_deadline(server, address, monkeypatch):
    def drip(conversation: Any, link: Any) -> None:
        while True:
            link.sendall(b"9")
            threading.Event().wait(0.1)

    monkeypatch.setattr(streams, "_converse", drip)
    system = system_at(address)
    before = HOST.monotonic()
    assert isinstance(system.sign_in(CARD, PIN), Unavailable)
    assert HOST.monotonic() - before < 3


def test_a_server_that_restarts_costs_no_payment(server):
    system_port: list[int] = []
    with serve_stream(server) as (host, port):
        system_port.append(port)
        system = system_at((host, port))
        ref = signed_in(system)
    assert isinstance(system.settle(order(ref)), NotApplied)
    with serve_stream(server, port=system_port[0]):
        assert isinstance(system.settle(order(ref)), Applied)
    assert len(server.truth()["patrons"][CARD]["credits"]) == 1


def test_many_at_once_share_the_connections_and_get_their_own_answers(server, address):
    cards = {f"2123400002{number:04}": number for number in range(1, 41)}
    for card, number in cards.items():
        server.books.add_patron(card, PIN, "X", datetime.now(UTC).date())
        server.books.add_fee(card, number, "x", since=datetime.now(UTC).date())
    system = system_at(address, connections=4)
    got: dict[str, int] = {}

    def ask(card: str) -> None:
        ref = system.sign_in(card, PIN)
        got[card] = system.account(PatronRef(str(ref))).balance

    threads = [threading.Thread(target=ask, args=(card,)) for card in cards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == cards
    assert server.truth()["requests"]["93"] <= 4


SECRETS = (CARD, PIN, PASSWORD, "k" * 40)


def test_no_secret_is_in_a_log_or_an_error(server, address, caplog):
    caplog.set_level(logging.DEBUG)
    system = system_at(address)
    ref = signed_in(system)
    said: list[str] = [repr(system), repr(SIP2Client(system._config, HOST)), repr(system._config), str(ref)]
    said += [str(finding) for finding in system.check()]
    for fault in (
        Fault.LOST,
        Fault.CUT,
        Fault.DAMAGED_FOR_EVER,
        Fault.OTHER_PATRON,
        Fault.GARBAGE,
        Fault.REFUSED,
    ):
        server.go_wrong(fault, "63")
        said.append(str(system.sign_in(CARD, PIN)))
        server.go_wrong(fault, "37")
        said.append(str(system.settle(order(ref))))
        server.go_wrong(fault, "63")
        try:
            said.append(str(system.account(ref)))
        except RemoteError as error:
            said += [str(error), repr(error), repr(error.__cause__)]
    everything = " ".join([*said, caplog.text])
    assert [secret for secret in SECRETS if secret in everything] == []


def test_an_address_where_nobody_listens_is_named_as_such():
    with serve_stream(SIP2Simulator.demo()) as gone:
        pass
    answer = system_at(gone).sign_in(CARD, PIN)
    assert isinstance(answer, Unavailable)
    assert "it refuses the connection" in answer.reason


def test_a_question_about_nobody_raises_what_the_core_expects(address):
    with pytest.raises(RemoteUnavailableError, match="cannot be reached"):
        system_at(("127.0.0.1", 1)).find_patron(CARD)
