"""A library's existing service that answers the Onleihe, with the bad habits that such services have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ils_payment.model import Reply
from ils_payment.testing.simulator import DROPPED, RealWorld
from ils_payment_onleihe import wire

if TYPE_CHECKING:
    from ils_payment.model import RawRequest
    from ils_payment.testing.simulator import SimulatorWorld

PATH = "/cgi-bin/auth"


@dataclass
class Reader:
    """One card as this service knows it."""

    pin: str
    status: int = 3
    fsk: int = 18
    user_id: str = "1"


@dataclass
class OnleiheSimulator:
    """The service. Its habits are switched on by name, one or several.

    ``delayed`` waits before it answers, ``shouting`` writes its elements in capitals, ``spacious`` puts white
    space everywhere, ``tells_passwords`` says -2 for a wrong password, ``fails`` answers 500, ``breaks``
    closes the connection, ``page`` answers with a page for people, ``switched_off`` answers 403.
    """

    world: SimulatorWorld = field(default_factory=RealWorld)
    readers: dict[str, Reader] = field(default_factory=dict)
    habits: set[str] = field(default_factory=set)
    delay: float = 3.0
    asked: int = 0

    @classmethod
    def demo(cls, world: SimulatorWorld | None = None) -> OnleiheSimulator:
        """Return a service that knows the patron of the demonstration, whose card has expired."""
        known = {"21234000012345": Reader(pin="1234", status=-3)}
        return cls(world=world or RealWorld(), readers=known)

    def handle(self, request: RawRequest) -> Reply:
        """Answer one request."""
        self.asked += 1
        if "delayed" in self.habits:
            self.world.pause("onleihe.service", self.delay)
        if "breaks" in self.habits:
            return Reply(status=DROPPED)
        if "fails" in self.habits:
            return Reply(status=500, body=b"Internal Server Error")
        if "switched_off" in self.habits:
            return Reply(status=403)
        if "page" in self.habits:
            page = b"<!DOCTYPE html><html><body><p>Please log in.</p></body></html>"
            return Reply(status=200, body=page, headers=(("content-type", "text/html"),))
        if request.method != "POST" or request.path != PATH:
            return Reply(status=404)
        return self._dressed(self._answer(wire.question(request)))

    def _answer(self, login: wire.Login | None) -> Reply:
        reader = self.readers.get(login.card) if login else None
        if login is None or reader is None:
            return wire.answer(-1)
        if reader.pin != login.pin:
            return wire.answer(-2 if "tells_passwords" in self.habits else -1)
        return wire.answer(reader.status, reader.fsk, login.card, reader.user_id)

    def _dressed(self, reply: Reply) -> Reply:
        text = reply.body.decode()
        if "shouting" in self.habits:
            text = text.replace("status>", "STATUS>").replace("response>", "Response>")
        if "spacious" in self.habits:
            text = "\n" + text.replace("><", ">\r\n\t <").replace("<status>", "<status> ")
        return Reply(status=200, body=text.encode(), headers=reply.headers)

    def truth(self) -> dict[str, Any]:
        """Return how often it was asked, and the status of each card."""
        return {"asked": self.asked, "status": {card: one.status for card, one in self.readers.items()}}
