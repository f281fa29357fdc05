"""The real world against real sockets: slow, large and lying servers, and a real mail server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from typing import Any

import pytest
import requests
from aiosmtpd.controller import Controller

from ils_payment.config import Mail
from ils_payment.ports import LibraryInfo
from ils_payment.world import PluginHost, World
from tests.free_port import free_port


@contextmanager
def raw_server(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Accept connections and let *answer* write whatever it likes, until the test is over."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    if connection.recv(65536):
                        answer(connection, over)
                except OSError:
                    # The client has seen enough, which is what most of these tests are about.
                    continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        over.set()
        # A thread that waits in accept() wakes up only for a connection.
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)
        listener.close()


def host(world: World | None = None) -> PluginHost:
    info = LibraryInfo(key="x", name="X", currency="EUR", languages=("de",), time_zone="Europe/Berlin")
    return PluginHost(world or World(), info)


def test_a_server_that_trickles_is_cut_off_at_the_deadline_of_the_whole_call() -> None:
    def trickle(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.1):
            connection.sendall(b"x")

    world = World()
    with raw_server(trickle) as url:
        started = world.monotonic()
        with pytest.raises(requests.Timeout):
            host(world).session(deadline=1.0).get(url)
        assert world.monotonic() - started < 3


def test_a_server_that_sends_too_much_is_cut_off() -> None:
    def flood(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000)

    with raw_server(flood) as url, pytest.raises(requests.RequestException, match="too large"):
        host().session(max_bytes=100_000).get(url)


def test_an_answer_that_breaks_off_is_a_connection_error() -> None:
    def half(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with raw_server(half) as url, pytest.raises(requests.ConnectionError):
        host().session().get(url)


def test_a_redirect_is_not_followed() -> None:
    def redirect(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )

    with raw_server(redirect) as url:
        assert host().session().get(url).status_code == 302


def test_nothing_is_sent_twice_when_the_server_hangs_up() -> None:
    seen: list[int] = []

    def hang_up(_connection: socket.socket, _over: threading.Event) -> None:
        seen.append(1)

    with raw_server(hang_up) as url, pytest.raises(requests.ConnectionError):
        host().session().post(url, data=b"money")
    assert seen == [1]


def test_connect_returns_a_socket_with_the_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        host().connect(listener.getsockname(), deadline=3) as connection,
    ):
        assert connection.gettimeout() == 3


def test_ids_are_long_and_never_the_same() -> None:
    world = World()
    ids = {world.new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {26}


class Inbox:
    """A mail server's handler that keeps what comes, or refuses it."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuse = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            return "554 not today"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, World]]:
    handler = Inbox()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    mail = Mail(host="127.0.0.1", port=port, security="none", sender="kasse@lindental.example")
    yield handler, World(mail=mail)
    controller.stop()


def test_a_mail_reaches_a_real_mail_server_with_umlauts_and_sender(inbox: tuple[Inbox, World]) -> None:
    handler, world = inbox
    world.send_mail("leserin@example.org", "Zahlungsbeleg ILSP-7K3M9Q-4", "Gebühr: 12,50 €\n")
    ((recipients, message),) = handler.mails
    assert recipients == ["leserin@example.org"]
    assert message["From"] == "kasse@lindental.example"
    assert message["Subject"] == "Zahlungsbeleg ILSP-7K3M9Q-4"
    assert message.get_payload(decode=True).decode() == "Gebühr: 12,50 €\r\n"


def test_a_mail_server_that_refuses_is_an_oserror_without_the_address(inbox: tuple[Inbox, World]) -> None:
    handler, world = inbox
    handler.refuse = True
    with pytest.raises(OSError, match="refused") as caught:
        world.send_mail("leserin@example.org", "x", "y")
    assert "leserin" not in str(caught.value)


def test_without_a_mail_server_nothing_can_be_sent() -> None:
    world = World()
    assert not world.can_mail
    with pytest.raises(OSError, match="no mail server"):
        world.send_mail("a@b.example", "x", "y")
