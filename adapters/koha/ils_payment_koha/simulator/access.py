"""Who is asking, and what that user may do: tokens, Basic, rights, password validation."""

from __future__ import annotations

import base64
import binascii
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ils_payment_koha.simulator import schema
from ils_payment_koha.simulator.render import Problem, reply
from ils_payment_koha.simulator.state import Patron, Tables, Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from ils_payment.model import RawRequest, Reply
    from ils_payment_koha.simulator.habits import Faults, KohaHabits

Permission = dict[str, str] | list[dict[str, str]] | None
"""A right as Koha's specification writes it: a dict means all of them, a list any; ``"1"`` a whole module."""


@dataclass
class Access:
    """Authenticates requests against *tables*."""

    tables: Tables
    habits: KohaHabits
    faults: Faults
    rng: random.Random
    now: Callable[[], datetime]

    def token(self, request: RawRequest) -> Reply:
        """Answer ``POST /oauth/token``: client credentials in a form."""
        if self.faults.database_down:
            raise Problem(500, "errors", "Internal Server Error.")
        form = schema.form(request, schema.TOKEN)
        if form["grant_type"] != "client_credentials" or not self.habits.oauth:
            raise Problem(400, "error", "Unimplemented grant type")
        with self.tables.lock:
            client = self.tables.clients.get(form.get("client_id", ""))
            if client is None:
                raise Problem(403, "error", "unauthorized_client")
            if form.get("client_secret") != client.secret:
                raise Problem(403, "error", "access_denied")
            key = f"{self.rng.getrandbits(256):064x}"
            self.tables.clear_old_tokens(self.now())
            expires = self.now() + timedelta(seconds=self.habits.token_seconds)
            self.tables.tokens[key] = Token(client_id=client.client_id, expires=expires)
        body = {"access_token": key, "expires_in": self.habits.token_seconds, "token_type": "Bearer"}
        return reply(200, body)

    def user(self, request: RawRequest, permission: Permission) -> Patron:
        """Return the API user behind *request*; raise 401, 403, or what a stopped database makes of it."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if self.faults.database_down:
            raise self._database_down(scheme)
        with self.tables.lock:
            user = self._basic(secret) if scheme == "Basic" else self._bearer(scheme, secret)
            if not may(user, permission):
                text = "Authorization failure. Missing required permission(s)."
                raise Problem(403, "auth", text, permission)
            return user

    def validate(self, body: dict[str, Any]) -> Reply:
        """Answer ``POST /auth/password/validation``: every reason to refuse looks the same."""
        if "identifier" in body and "userid" in body:
            raise Problem(400, "error", "Bad request. Only one identifier attribute can be passed.")
        refused = Problem(400, "error", "Validation failed")
        with self.tables.lock:
            patron = self._identified(body)
            if patron is None or patron.login_attempts >= self.habits.failed_login_attempts:
                raise refused
            if body["password"] != patron.password:
                patron.record["login_attempts"] = patron.login_attempts + 1
                raise refused
            if patron.password_expired:
                raise Problem(500, "errors", "Internal Server Error.")
            patron.record["login_attempts"] = 0
            names = ("cardnumber", "userid")
            return reply(201, {"patron_id": patron.patron_id} | {name: patron.record[name] for name in names})

    def _identified(self, body: dict[str, Any]) -> Patron | None:
        """Find the patron as the database does, to which case is all one (inferred from its collation)."""
        wanted = str(body.get("identifier", body.get("userid")) or "").casefold()
        columns = ("userid", "cardnumber") if "identifier" in body else ("userid",)
        for column in columns:
            for patron in self.tables.patrons.values():
                if wanted and str(patron.record[column] or "").casefold() == wanted:
                    return patron
        return None

    def _bearer(self, scheme: str, secret: str) -> Patron:
        token = self.tables.tokens.get(secret) if scheme == "Bearer" else None
        if token is None or token.expires <= self.now():
            raise Problem(401, "auth", "Authentication failure.")
        return self.tables.patrons[self.tables.clients[token.client_id].patron_id]

    def _basic(self, secret: str) -> Patron:
        if not self.habits.basic_auth:
            raise Problem(401, "auth", "Basic authentication disabled")
        try:
            userid, _, password = base64.b64decode(secret, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            userid = password = ""
        for patron in self.tables.patrons.values():
            if userid and patron.record["userid"] == userid and patron.password == password:
                return patron
        raise Problem(403, "auth", "Invalid password")

    @staticmethod
    def _database_down(scheme: str) -> Problem:
        """Return what was seen with MariaDB stopped: with Basic it looks like a wrong setting."""
        if scheme == "Basic":
            return Problem(401, "auth", "Basic authentication disabled")
        if scheme == "Bearer":
            return Problem(500, "auth", "Something went wrong, check the logs.")
        return Problem(401, "auth", "Authentication failure.")


def may(user: Patron, permission: Permission) -> bool:
    """Return whether *user* has *permission*."""
    if permission is None or "superlibrarian" in user.rights:
        return True
    if isinstance(permission, list):
        return any(may(user, one) for one in permission)
    return all(_has(user, module, part) for module, part in permission.items())


def _has(user: Patron, module: str, part: str) -> bool:
    return module in user.rights or (part != "1" and f"{module}:{part}" in user.rights)
