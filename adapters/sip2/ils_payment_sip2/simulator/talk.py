"""One connection to the simulated server: login, answers, and what goes wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ils_payment_sip2.simulator import codec
from ils_payment_sip2.simulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment_sip2.simulator.server import SIP2Simulator

Answer = tuple[str, str, list[tuple[str, str]]]
"""Code, fixed part, fields."""


class Talk:
    """One connection to the simulated server."""

    def __init__(self, server: SIP2Simulator) -> None:
        self.over = False
        self._server = server
        self._heard = b""
        self._logged_in = not server.dialect.login
        self._last = b""
        self._damaged_for_ever = False

    def greet(self) -> bytes:
        """Say nothing: in SIP2 the terminal speaks first."""
        return b""

    def hear(self, data: bytes) -> bytes:
        """Answer every whole message in what was heard so far."""
        self._heard += data.replace(b"\n", b"\r")
        said = b""
        while b"\r" in self._heard and not self.over:
            raw, _, self._heard = self._heard.partition(b"\r")
            if raw:
                said += self._say(raw)
        return said

    def _say(self, raw: bytes) -> bytes:
        end = codec.ENDS[self._server.dialect.terminator]
        try:
            code, fixed, fields, sequence = codec.read(raw, self._server.dialect)
        except (codec.UnreadableError, UnicodeDecodeError):
            return b"96" + end
        if code == "97":
            self._server.count(code)
            return (_damaged(self._last) if self._damaged_for_ever else self._last) + end
        if code == "93":
            self._server.count(code)
            right = (fields.get("CN"), fields.get("CO")) == (self._server.user, self._server.password)
            self._logged_in = self._logged_in or right
            return self._written(("94", "1" if right else "0", []), sequence) + end
        if not self._logged_in:
            # Servers are known to hang up on whoever speaks before logging in.
            self.over = True
            return b""
        answer, fault = self._server.respond(code, fixed, fields)
        return (
            self._gone_wrong(fault, answer, sequence, end) if fault else self._written(answer, sequence) + end
        )

    def _written(self, answer: Answer, sequence: str) -> bytes:
        self._last = codec.write(*answer, sequence, self._server.dialect)
        self._damaged_for_ever = False
        return self._last

    def _gone_wrong(self, fault: Fault, answer: Answer, sequence: str, end: bytes) -> bytes:
        code, fixed, fields = answer
        whole = self._written(answer, sequence)
        if fault in {Fault.LOST, Fault.NEVER_DONE, Fault.CUT}:
            self.over = True
            return whole[: len(whole) // 2] if fault is Fault.CUT else b""
        if fault in {Fault.SILENT, Fault.LATE}:
            return b""
        if fault is Fault.RESEND:
            return b"96" + end
        self._damaged_for_ever = fault is Fault.DAMAGED_FOR_EVER
        other = str((int(sequence or "0") + 5) % 10)
        stale = self._server.respond("99", "0080" + "2.00", {})[0] if fault is Fault.STALE else answer
        elsewhere = [(name, "21239999999999" if name == "AA" else value) for name, value in fields]
        texts: dict[Fault, Callable[[], bytes]] = {
            Fault.DAMAGED: lambda: _damaged(whole),
            Fault.DAMAGED_FOR_EVER: lambda: _damaged(whole),
            Fault.WRONG_SEQUENCE: lambda: self._written(answer, other if sequence else ""),
            Fault.STALE: lambda: codec.write(*stale, other, self._server.dialect) + end + whole,
            Fault.TWICE: lambda: whole + end + whole,
            Fault.OTHER_PATRON: lambda: self._written((code, fixed, elsewhere), sequence),
            Fault.OTHER_CODE: lambda: self._written(("36", f"Y{fixed[-18:]}", fields), sequence),
            Fault.GARBAGE: lambda: b"\xff\xfe<html>503</html>",
            Fault.NEITHER: lambda: self._written((code, f" {fixed[1:]}", fields), sequence),
            Fault.REFUSED: lambda: whole,
        }
        return texts[fault]() + end


def _damaged(raw: bytes) -> bytes:
    """Return *raw* with one byte in the middle changed, as a bad line does."""
    place = len(raw) // 2
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
