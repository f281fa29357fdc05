"""A town with its doors: the whole application before simulated remotes, and browsers in front of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator.demo import CARD, PIN
from starlette.testclient import TestClient

from ils_payment.flows.house import open_desk
from ils_payment.store.schema import metadata
from ils_payment.web.app import create_app
from tests.conftest import Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

__all__ = [
    "CARD", "OLD_SECRET", "PIN", "PUBLIC", "SECRET", "Doors", "csrf_of", "doors_now", "signed", "ticked_fees",
]  # fmt: skip

PUBLIC = "https://pay.lindental.example"
SECRET = "an-opac-secret-of-forty-characters-......"
OLD_SECRET = "the-secret-before-it-was-changed-.......x"


@contextmanager
def doors_now(folder: Path, patch: pytest.MonkeyPatch, kid: str) -> Iterator[Doors]:
    """Open a town at this very moment, since no other language has our clock; its OPAC signs as *kid*."""
    patch.setenv("DOORS_SECRET", SECRET)
    arrival = {"keys": [{"kid": kid, "secret": {"env": "DOORS_SECRET"}}]}
    town = Town(f"sqlite:///{folder}/ledger.db", arrival=arrival)
    town.world.pass_time(seconds=(datetime.now(UTC) - town.world.now()).total_seconds())
    yield Doors(town)
    town.close()


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any, *, secret: str = SECRET, header: dict[str, Any] | None = None) -> str:
    """A JWT by hand: so that what no library would make can be made too."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "opac-1"} if header is None else header
    digests = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
    body = ".".join(b64(json.dumps(part).encode()) for part in (head, claims))
    digest = digests.get(str(head.get("alg")))
    mac = hmac.new(secret.encode(), body.encode(), getattr(hashlib, digest)).digest() if digest else b""
    return f"{body}.{b64(mac)}"


class Doors:
    """The application with two libraries (the second has the same Koha), and what tests do at its doors."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.house = town.house
        self.world = town.world
        other = town.settings.libraries["lindental"].model_copy(update={"name": "Bücherei Seehausen"})
        desk = open_desk("seehausen", other, town.house.plugins, town.world)
        town.house.libraries = {**town.house.libraries, "seehausen": desk}
        self.app = create_app(town.house)
        self.number = 0

    def browser(self, address: str = "203.0.113.7", **options: Any) -> TestClient:
        """A new browser; it keeps its cookies and follows no redirect by itself."""
        return TestClient(
            self.app,
            base_url=PUBLIC,
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(address, 50000),
            **options,
        )

    def claims(self, patron: str = "erika", library: str = "lindental", **changes: Any) -> dict[str, Any]:
        """What a good token says; a claim that is changed to None is left out."""
        self.number += 1
        now = int(self.world.now().timestamp())
        said = {
            "iss": "opac",
            "aud": f"{PUBLIC}/{library}",
            "iat": now,
            "exp": now + 60,
            "jti": f"jti-{self.number}",
            "sub": str(self.town.koha.patron_ids[patron]),
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, patron: str = "erika", library: str = "lindental", **changes: Any) -> str:
        return signed(self.claims(patron, library, **changes))

    def arrived(self, patron: str = "erika", library: str = "lindental", **options: Any) -> TestClient:
        """A browser in which *patron* is signed in."""
        browser = self.browser(**options)
        answer = browser.get(f"/{library}/arrive", params={"token": self.token(patron, library)})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/{library}/fees")
        return browser

    def sign_in(
        self, browser: TestClient, card: str = CARD, pin: str = PIN, library: str = "lindental"
    ) -> Any:
        """Open the form and send it."""
        page = browser.get(f"/{library}/")
        return browser.post(f"/{library}/login", data={"csrf": csrf_of(page.text), "card": card, "pin": pin})

    def asked(self) -> int:
        """How often Koha was asked about a PIN."""
        return sum(path.endswith("/auth/password/validation") for _, path in self.world.requests)

    def rows(self, table: str) -> list[Any]:
        with self.house.store.read() as unit:
            return list(unit.connection.execute(metadata.tables[table].select()))

    def everything_stored(self) -> str:
        """The whole database as text."""
        return "\n".join(f"{name}: {self.rows(name)}" for name in metadata.tables)


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def ticked_fees(page: str) -> list[str]:
    """The ids of the fees that a page of fees shows ticked, in its order."""
    return re.findall(r'<input type="checkbox" name="fee" value="([^"]+)"[^>]* checked', page)


def apart(story):
    """Run a coroutine in a thread of its own: a browser that another test uses keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, story).result(timeout=100)
