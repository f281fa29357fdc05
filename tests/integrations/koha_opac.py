"""A Koha of stand-ins that runs the packed plugin in a real Perl, one request after the other."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Town

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("koha_stand_ins")
PLUGIN_CLASS = "Koha::Plugin::ILSPayment"
ENCRYPTION_KEY = "a-key-as-in-koha-conf.xml-of-many-characters"
SESSION = "a-session-of-koha"


def perl() -> str:
    """The path of Perl; a machine without one fails the tests rather than passing over them."""
    found = shutil.which("perl")
    if found is None:
        pytest.fail("The tests of the Koha plugin need Perl. Type: apt install perl.", pytrace=False)
    return found


def packed(folder: Path) -> Path:
    """Pack the plugin into *folder*; return the file."""
    command = [sys.executable, str(ROOT / "scripts" / "kpz.py"), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(ran.stdout.strip())


def unpacked(folder: Path) -> Path:
    """Pack the plugin, unpack it as Koha does, and return the folder that Koha calls ``pluginsdir``."""
    with zipfile.ZipFile(packed(folder)) as archive:
        archive.extractall(folder / "plugins")
    return folder / "plugins"


@dataclass
class Answer:
    """What one request printed and returned, and what Perl wrote into the log of the web server."""

    printed: str
    returned: Any
    log: str

    @property
    def token(self) -> str:
        found = re.search(r'<input type="hidden" name="token" value="([^"]+)">', self.printed)
        return html.unescape(found[1]) if found else ""

    @property
    def action(self) -> str:
        found = re.search(r'<form id="hand-over" method="post" action="([^"]+)">', self.printed)
        return html.unescape(found[1]) if found else ""

    def field(self, name: str) -> str | None:
        found = re.search(rf'<input [^>]*name="{name}"[^>]* value="([^"]*)"', self.printed)
        return html.unescape(found[1]) if found else None


@dataclass
class KohaOPAC:
    """One Koha with the plugin. ``lines`` are rows of ``accountlines``, ``data`` those of ``plugin_data``."""

    plugins: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    language: str = "de-DE"
    encryption_key: str | None = ENCRYPTION_KEY

    def take_lines_of(self, town: Town) -> None:
        """Be the OPAC of the Koha that the town's program asks: the same patrons, the same lines."""
        for number, patron in town.koha.truth()["patrons"].items():
            for line, fee in patron["fees"].items():
                row = {"accountlines_id": int(line), "borrowernumber": int(number)}
                self.lines.append({**row, "amountoutstanding": int(fee["outstanding"]) / 100})

    def ask(self, method: str, patron: str | None = None, **params: Any) -> Answer:
        """Call *method* of the plugin as Koha does for one request; a list gives a parameter repeatedly."""
        asked = {
            "method": method,
            "params": {name: value if isinstance(value, list) else [value] for name, value in params.items()},
            "patron": patron,
            "session": SESSION,
            "language": self.language,
            "lines": self.lines,
            "data": self.data,
            "encryption_key": self.encryption_key,
        }
        command = [perl(), f"-I{STAND_INS}", f"-I{self.plugins}", str(STAND_INS / "run.pl")]
        ran = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, check=False)
        log = ran.stderr.decode()
        assert ran.returncode == 0, log
        answer = json.loads(ran.stdout)
        self.data = answer["data"]
        return Answer(answer["printed"], answer["returned"], log)

    def configure(self, **typed: str) -> Answer:
        """Open the page of the settings and send its form, as a clerk does."""
        csrf = self.ask("configure").field("csrf_token")
        form = {"save": "1", "op": "cud-save", "csrf_token": csrf, **typed}
        return self.ask("configure", **form)

    def begin(self, patron: str | None, *ticked: str) -> Answer:
        """Send the form of "Your charges" with these lines ticked."""
        form = {"op": "cud-pay", "payment_method": PLUGIN_CLASS, "payment_amount": "0.01"}
        return self.ask("opac_online_payment_begin", patron, accountline=list(ticked), **form)
