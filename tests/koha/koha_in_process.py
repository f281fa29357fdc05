"""An API client that calls a simulated Koha in process, and a world in which time stands still."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ils_payment_koha.simulator import KohaSimulator

from ils_payment.model import RawRequest, Reply

CARD, PIN = "21234000012345", "4711"
UNHANDLED = {
    "error": "Something went wrong, check Koha logs for details.",
    "error_code": "internal_server_error",
}


class SteppedWorld:
    """Time passes only in pauses and when a test says so; every pause is noted."""

    def __init__(self, moment: datetime = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)) -> None:
        self.moment = moment
        self.pauses: list[tuple[str, float]] = []

    def now(self) -> datetime:
        return self.moment

    def pause(self, name: str, seconds: float) -> None:
        self.pauses.append((name, seconds))
        self.moment += timedelta(seconds=seconds)


class Client:
    """A signed-in API client in process."""

    def __init__(self, koha: KohaSimulator) -> None:
        self.koha = koha
        self.form = "grant_type=client_credentials&client_id=ils-payment&client_secret=demo-secret"
        self.headers: dict[str, str] = {"accept": "application/json"}
        self.sign_in()

    def sign_in(self) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        reply = self.call("POST", "/oauth/token", self.form.encode(), **kind)
        self.headers["authorization"] = f"Bearer {json.loads(reply.body)['access_token']}"

    def call(self, method: str, path: str, body: object = b"", **headers: str) -> Reply:
        where, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = RawRequest(method=method, path=f"/api/v1{where}", query=query, headers=known, body=raw)
        return self.koha.handle(request)

    def get(self, path: str, **headers: str) -> Any:
        reply = self.call("GET", path, **headers)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def pay(self, patron: int, amount: float, *lines: int, **more: object) -> Reply:
        body = {"amount": amount, "account_lines_ids": list(lines), **more}
        return self.call("POST", f"/patrons/{patron}/account/credits", body)

    def status(self, method: str, path: str, body: object = b"", **headers: str) -> int:
        return self.call(method, path, body, **headers).status


def books(koha: KohaSimulator, patron: int) -> dict[str, Any]:
    return koha.truth()["patrons"][str(patron)]


def parsed(reply: Reply) -> Any:
    return json.loads(reply.body, parse_float=Decimal)
