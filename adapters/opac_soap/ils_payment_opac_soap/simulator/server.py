"""The simulated server: it understands a call, lets it take effect, and goes wrong where a test wants it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ils_payment.model import Reply
from ils_payment.testing import town
from ils_payment.testing.books import Books
from ils_payment.testing.demo import DemoLibrary
from ils_payment.testing.faults import Faults
from ils_payment.testing.simulator import DROPPED, RealWorld, serve
from ils_payment_opac_soap import tree
from ils_payment_opac_soap.simulator.arena import Arena
from ils_payment_opac_soap.simulator.faults import Fault, damaged
from ils_payment_opac_soap.simulator.ncip import NCIP
from ils_payment_opac_soap.simulator.others import Libero, SunRise
from ils_payment_opac_soap.simulator.symphony import Symphony
from ils_payment_opac_soap.simulator.voices import Call, Said, SOAPFaultError, Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ils_payment.model import RawRequest
    from ils_payment.testing.demo import MakeSecret
    from ils_payment.testing.simulator import SimulatorWorld

VOICES: dict[str, type[Voice]] = {
    "arena": Arena,
    "libero": Libero,
    "ncip": NCIP,
    "sunrise-rpc": SunRise,
    "symphony": Symphony,
}
_NO_EFFECT = {Fault.NEVER_DONE, Fault.FAULT_BEFORE, Fault.SESSION}


class SOAPSimulator:
    """A server that speaks one preset's words, in process (:meth:`handle`) or over HTTP (``serve``)."""

    demo_card, demo_pin = town.CARD, town.PIN
    """Whoever tries the demo signs in with these."""

    def __init__(self, world: SimulatorWorld | None = None, *, preset: str = "symphony") -> None:
        self.world = world or RealWorld()
        self.preset = preset
        self.books = Books()
        # Each maker's voice has switches of its own.
        self.voice: Any = VOICES[preset](self.books)
        self.last_body = b""
        self._faults: Faults[Fault] = Faults()
        self._requests: Counter[str] = Counter()
        self._lock = threading.RLock()

    @classmethod
    def demo(cls, world: SimulatorWorld | None = None, **options: Any) -> Self:  # noqa: ANN401 - as __init__
        """Return a server of a small library; ``ils_payment.testing.town`` says who its patrons are."""
        simulator = cls(world, **options)
        town.fill(simulator.books, simulator.world.now().date())
        return simulator

    @classmethod
    @contextmanager
    def stage_demo(cls, secret: MakeSecret, port: int) -> Iterator[DemoLibrary]:
        """Serve the small library over HTTP for ``ils-payment demo``, in the words of Symphony."""
        password, named = secret("opac-soap-password")
        simulator = cls.demo()
        simulator.voice.staff = ("kasse", password)
        with serve(simulator, port=port) as address:
            table = {
                "plugin": "opac-soap",
                "preset": simulator.preset,
                "url": f"{address}/symws",
                "values": {"client_id": "ILS-PAYMENT"},
                "user": "kasse",
                "password": named,
                "patron_key": secret("opac-soap-patron-key")[1],
                "payment_type": "CREDITCARD",
            }
            yield DemoLibrary(
                simulator=simulator,
                address=address,
                table=table,
                cards=tuple(simulator.books.patrons),
                absent={"renew": "no public document of Symphony Web Services names such an operation"},
            )

    def handle(self, request: RawRequest) -> Reply:
        """Answer one call; status 0 means that the connection is dropped."""
        self._catch_up()
        self.last_body = request.body
        try:
            name, call = self._understood(request)
        except (tree.TreeError, IndexError, AttributeError):
            return _reply(400, b"<html><body>Bad Request</body></html>", "text/html")
        with self._lock:
            self._requests[name] += 1
            fault, seconds = self._faults.take(name) or (None, 0.0)
        if fault is Fault.LATE:
            self._faults.postpone(self.world.now(), seconds, lambda: self._answered(name, call))
            return _reply(504, b"<html><body>Gateway Timeout</body></html>", "text/html")
        if fault in _NO_EFFECT:
            return self._without_effect(fault)
        if fault is Fault.OTHER_PATRON:
            return self._of_another(name, call)
        status, body = self._answered(name, call, empty=fault is Fault.NO_WORDS)
        if fault is Fault.LOST:
            return Reply(status=DROPPED)
        if fault is Fault.FAULT_AFTER:
            return self._fault("ns0:Server.unexpected")
        if fault is not None:
            status, body = damaged(fault, body)
        return _reply(status, body)

    def go_wrong(self, fault: Fault, name: str = "", n: int = 1, *, seconds: float = 0.0) -> None:
        """Let the next *n* calls of *name* (by default the one that pays) go wrong; *seconds* is for LATE."""
        with self._lock:
            self._faults.waiting.extend([(fault, name or self.voice.pays, seconds)] * n)

    def end_sessions(self) -> None:
        """Let every session end, as after a restart."""
        self.voice.sessions.clear()

    def truth(self) -> dict[str, Any]:
        """Return every patron's books in cents, and how often each call came."""
        self._catch_up()
        return {"patrons": self.books.truth(), "requests": dict(self._requests)}

    def _catch_up(self) -> None:
        with self._lock:
            effects = self._faults.due(self.world.now())
        for effect in effects:
            effect()

    def _understood(self, request: RawRequest) -> tuple[str, Call]:
        """Return the element of a call and what is in it."""
        document = tree.read(request.body)
        if self.voice.root:
            [root] = document[self.voice.root]
            [name] = [key for key in root if key[0] != "@"]
            return name, Call(root[name][0], {}, self.world.now())
        body = tree.find(document, "Envelope/Body")[0]
        [name] = [key for key in body if key[0] != "@"]
        headers = tree.find(document, "Envelope/Header")
        return name, Call(body[name][0], headers[0] if headers else {}, self.world.now())

    def _answered(self, name: str, call: Call, *, empty: bool = False) -> tuple[int, bytes]:
        """Let a call take effect, whole or not at all; return the answer."""
        with self._lock:
            try:
                said = self.voice.answers[name](call)
            except KeyError:
                return 500, self._fault("ns0:Client").body
            except SOAPFaultError as error:
                return 500, self._fault(error.code).body
        return 200, self._written(replace(said, content={}) if empty else said)

    def _of_another(self, name: str, call: Call) -> Reply:
        """Let a call take effect and answer as if it had been about Jan, as a mixed-up connection does."""
        status, body = self._answered(name, call)
        other = next(card for card in self.books.patrons if card != town.CARD)
        return _reply(status, body.replace(town.CARD.encode(), other.encode()))

    def _without_effect(self, fault: Fault | None) -> Reply:
        if fault is Fault.NEVER_DONE:
            return Reply(status=DROPPED)
        return self._fault(self.voice.session_fault if fault is Fault.SESSION else "ns0:Server.unexpected")

    def _written(self, said: Said) -> bytes:
        made = tree.element(said.name, said.content, said.namespace, unqualified=said.unqualified)
        if not self.voice.root:
            return tree.envelope(made)
        whole = {"@version": "2.02", said.name: said.content}
        return tree.written(tree.element(self.voice.root, whole, said.namespace))

    def _fault(self, code: str) -> Reply:
        """Return a fault; a service without SOAP has none and shows a page."""
        if self.voice.root:
            return _reply(500, b"<html><body>Internal Server Error</body></html>", "text/html")
        told = {"faultcode": code, "faultstring": "Es ist ein Fehler aufgetreten"}
        made = tree.element("Fault", told, "http://schemas.xmlsoap.org/soap/envelope/", unqualified=True)
        return _reply(500, tree.envelope(made))


def _reply(status: int, body: bytes, kind: str = "text/xml; charset=utf-8") -> Reply:
    return Reply(status=status, body=body, headers=(("Content-Type", kind),))
