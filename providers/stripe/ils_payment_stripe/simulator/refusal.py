"""How the simulated Stripe says no: the error object of the v1 API."""

from __future__ import annotations

import json
from typing import Any

from ils_payment.model import Reply

JSON_HEADERS = (("content-type", "application/json"), ("cache-control", "no-cache, no-store"))


class Refusal(Exception):
    """One error answer: HTTP status, the sentence, and Stripe's ``type``, ``code`` and ``param``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Keep what the answer is made of."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers

    def reply(self) -> Reply:
        """Return the answer in the shape that the SDK turns into its exceptions."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param:
            error["param"] = self.param
        return json_reply(self.status, {"error": error}, self.headers)


class NotPayableError(Exception):
    """The payer tried something that this session's state does not allow (it is over already)."""


def json_reply(status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return *body* as Stripe prints it: indented JSON."""
    return Reply(
        status=status,
        body=json.dumps(body, indent=2, ensure_ascii=False).encode(),
        headers=JSON_HEADERS + headers,
    )


def missing(param: str) -> Refusal:
    """Return the answer to a request that lacks *param*."""
    return Refusal(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def no_such(kind: str, key: str, param: str) -> Refusal:
    """Return the answer to an id that this account and mode does not know."""
    return Refusal(404, f"No such {kind}: '{key}'", code="resource_missing", param=param)
