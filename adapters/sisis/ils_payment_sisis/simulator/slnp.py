"""The simulated SLNP server: lines in, lines out; it shares no code with the client."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ils_payment_sisis.simulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.testing.books import Patron
    from ils_payment_sisis.simulator.sisis import SISISSimulator

LIST_FEES, RENEW = "ErfundenGebuehrenListe", "ErfundenVerlaengern"
"""Made up ("erfunden"): no such command is publicly known."""


class SLNPServer:
    """What listens on the SLNP port of the simulated SISIS."""

    def __init__(self, town: SISISSimulator) -> None:
        self._town = town

    def open(self) -> SLNPTalk:
        """Accept one connection."""
        return SLNPTalk(self._town)

    def truth(self) -> dict[str, Any]:
        """Return the books of the town."""
        return self._town.truth()


class SLNPTalk:
    """One connection."""

    def __init__(self, town: SISISSimulator) -> None:
        self.over = False
        self._town = town
        self._heard = ""
        self._logged_in = town.slnp_login == "none"

    def greet(self) -> bytes:
        """Greet, and name the character set where this installation does."""
        named = self._town.habits.greets_with
        about = f" SISIS-Simulator@Version:0@pid:1@charset:{named}@ssl:false" if named else ""
        return f"220 SLNP{about}\n".encode("ascii")

    def hear(self, data: bytes) -> bytes:
        """Answer every whole command in what was heard so far."""
        # The server reads what it speaks itself, whatever it said in its greeting.
        self._heard += data.decode(self._town.habits.speaks, "replace").replace("\r", "")
        said = b""
        while "SLNPEndCommand\n" in self._heard and not self.over:
            whole, _, self._heard = self._heard.partition("SLNPEndCommand\n")
            command, *lines = whole.strip("\n").split("\n")
            parameters = dict(line.split(":", 1) for line in lines)
            said += self._say(command, {key: _plain(value) for key, value in parameters.items()})
        return said

    def _say(self, command: str, parameters: dict[str, str]) -> bytes:
        if command in {"SLNPServerExit", "SLNPQuit"}:
            self.over = True
            return self._lines(["240 OK"])
        if command in {"SLNPServerInit", "SLNPSysParam"}:
            self._logged_in = self._town.may_log_in(command, parameters)
            return self._lines(["240 OK" if self._logged_in else "510 SLNPParameterValueError"])
        if not self._logged_in:
            return self._lines(["520 SlnpExecutionError: not initialised"])
        fault = self._town.take_fault(command)
        if fault is Fault.NEVER_DONE:
            self.over = True
            return b""
        if fault is Fault.LATE:
            self._town.postpone(lambda: self._answer(command, parameters))
            return b""
        if fault is Fault.REFUSED:
            return self._lines(["510 OpsNieGehoert: 21234000012345"])
        if fault is Fault.BROKEN:
            return self._lines(["511 Datenbankfehler"])
        lines = self._answer(command, parameters)
        return self._gone_wrong(fault, lines, parameters) if fault else self._lines(lines)

    def _gone_wrong(self, fault: Fault, lines: list[str], parameters: dict[str, str]) -> bytes:
        whole = self._lines(lines)
        if fault in {Fault.LOST, Fault.CUT}:
            self.over = True
            return whole[: len(whole) // 2] if fault is Fault.CUT else b""
        if fault is Fault.SILENT:
            return b""
        if fault is Fault.ENDLESS:
            return self._lines(lines[:-1]) + b"601 Bemerkung:" + b"x" * 300_000
        if fault is Fault.GARBAGE:
            return b"HTTP/1.1 400 Bad Request\r\n\r\n"
        if fault is Fault.OTHER_COMMAND:
            return self._lines(["600 SLNPBuchDatenRecherche", *lines[1:]])
        other = [line.replace(parameters["BenutzerNummer"], "21239999999999") for line in lines]
        return self._lines(other)

    def _answer(self, command: str, parameters: dict[str, str]) -> list[str]:
        act: Callable[[Patron, dict[str, str]], list[str]] | None = {
            "SLNPOpacBenutzerPruefung": self._check,
            "SLNPBenutzerKurzKonto": self._short,
            "SLNPAlleBenutzerDaten": self._record,
            LIST_FEES: self._fees,
            RENEW: self._renew,
        }.get(command)
        if act is None or (command in {LIST_FEES, RENEW} and not self._town.own_commands):
            return [f"520 SlnpLookupError: {command}"]
        patron = self._town.patron(parameters.get("BenutzerNummer", ""))
        if patron is None:
            return ["510 OpsBenutzerErfundenUnbekannt"]
        return [f"600 {command}", *act(patron, parameters)]

    def _check(self, patron: Patron, parameters: dict[str, str]) -> list[str]:
        if self._town.must_change_pin == patron.card:
            return ["510 OpsBenutzerAutoPinChange"]
        if parameters.get("Kennwort") != patron.pin:
            return ["510 OpsBenutzerPinFalsch"]
        return ["601 Ergebnis:J", "250 SLNPEndOfData"]

    def _short(self, patron: Patron, _parameters: dict[str, str]) -> list[str]:
        first, _, last = patron.name.rpartition(" ")
        owed = sum(fee.open for fee in patron.fees)
        return [
            *self._number(patron),
            f"601 Vorname:{first}",
            f"601 Nachname:{last}",
            f"601 Gut:{euros(owed - patron.balance)}",
            f"601 Soll:{euros(owed)}",
            "601 AvAnz:2",
            *self._blocks(patron),
            "250 SLNPEndOfData",
        ]

    def _record(self, patron: Patron, _parameters: dict[str, str]) -> list[str]:
        """Answer with everything, the PIN in clear text included, as was seen of real servers."""
        return [
            *self._number(patron),
            f"601 FullName:{patron.name}",
            f"601 OpacPin:{patron.pin}",
            f"601 AusweisEnde:{patron.valid_until:%d.%m.%Y}",
            "601 GeburtsDatum:12.03.1985",
            f"601 ErfundenGruppe:{patron.category}",
            *self._blocks(patron),
            "250 SLNPEndOfData",
        ]

    def _fees(self, patron: Patron, _parameters: dict[str, str]) -> list[str]:
        units = [["603 KtoTyp:Gebuehren"]]
        units += [
            [f"603 Gebuehr:{euros(fee.open)}", f"603 Text:{fee.text}", f"603 Datum:{fee.since:%d.%m.%Y}"]
            for fee in patron.fees
            if fee.open
        ]
        return [line for unit in units for line in ["602 ", *unit]] + ["250 SLNPEndOfData"]

    def _renew(self, patron: Patron, parameters: dict[str, str]) -> list[str]:
        told = parameters.get("AusweisEnde", "")
        until = datetime.strptime(told, "%d.%m.%Y").date() if told else None  # noqa: DTZ007 - a day alone
        self._town.renew(patron, until)
        return ["601 Ergebnis:J", "250 SLNPEndOfData"]

    def _number(self, patron: Patron) -> list[str]:
        return [f"601 BenutzerNummer:{patron.card}"] if self._town.habits.names_the_card else []

    def _blocks(self, patron: Patron) -> list[str]:
        block = self._town.blocks.get(patron.card)
        return [f"601 Sperre:{block[0]}", f"601 SperrVermerk:{_escaped(block[1])}"] if block else []

    def _lines(self, lines: list[str]) -> bytes:
        end = self._town.habits.ends_with
        return "".join(f"{line}{end}" for line in lines).encode(self._town.habits.speaks)


def euros(cents: int) -> str:
    """Return an amount as SISIS writes it."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100},{abs(cents) % 100:02}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _plain(text: str) -> str:
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
