"""What strangers can reach with bytes, each as a function that takes any bytes and must not fall.

A target states what must hold for whatever comes: no exception but the documented ones, nothing
forged is believed, no secret is repeated. The fuzzer and ordinary tests both call these.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jwt
from ils_payment_stripe.webhook import read_request

from ils_payment.errors import ConfigurationError
from ils_payment.flows import links
from ils_payment.loading import load_settings
from ils_payment.model import Forged, RawRequest
from ils_payment.web import handover, webhooks

CORPUS = Path(__file__).parent / "corpus"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "whsec_fuzz"
KEY = "a-hand-over-secret-of-forty-characters-!"
PAYMENT = "0123456789ABCDEFGHJKMNPQRS"


def _head_and_body(data: bytes) -> tuple[str, bytes]:
    head, _, body = data.partition(b"\n")
    return head.decode("latin-1"), body


def stripe_notice(data: bytes) -> None:
    """A webhook of anybody's: the first line is the signature header, the rest the body."""
    header, body = _head_and_body(data)
    headers = {"stripe-signature": header, "content-type": "application/json"}
    request = RawRequest(method="POST", path="/", headers=headers, body=body)
    found = read_request(request, [SECRET], NOW, live=False)
    if isinstance(found, Forged):
        assert SECRET not in found.reason
        return
    moment = header.partition("t=")[2].partition(",")[0]
    expected = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert expected in header, "nothing unsigned is believed"


def signed_notice(data: bytes) -> None:
    """An authentic body of any content: it becomes notices or a refusal, never an exception."""
    moment = int(NOW.timestamp())
    mac = hmac.new(SECRET.encode(), f"{moment}.".encode() + data, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}
    request = RawRequest(method="POST", path="/", headers=headers, body=data)
    found = read_request(request, [SECRET], NOW, live=False)
    if not isinstance(found, Forged):
        assert all(0 < len(notice.key) <= 255 for notice in found)


def raw_request(data: bytes) -> None:
    """The reading of a request's body: the first line is its declared length, each other line a piece."""
    declared, body = _head_and_body(data)
    pieces = [*body.split(b"\n"), None]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0) if pieces else None
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": not piece.endswith(b".")}

    async def read() -> None:
        with contextlib.suppress(TimeoutError, webhooks._TooLargeError):
            whole = await webhooks._body({"content-length": declared}, receive)
            assert len(whole) <= webhooks.MAX_BODY

    asyncio.run(read())


def _desk() -> Any:
    key = SimpleNamespace(kid="k", secret=SimpleNamespace(get_secret_value=lambda: KEY))
    arrival = SimpleNamespace(keys=(key,), issuer="opac")
    return SimpleNamespace(key="town", settings=SimpleNamespace(arrival=arrival, languages=("de",)))


def _house() -> Any:
    server = SimpleNamespace(public_url="https://pay.library.example")
    world = SimpleNamespace(now=lambda: NOW)
    installation = SimpleNamespace(secret=b"s" * 32)
    return SimpleNamespace(settings=SimpleNamespace(server=server), world=world, installation=installation)


def handover_token(data: bytes) -> None:
    """A hand-over token: refused by the one documented error, or signed with our key."""
    token = data.decode("latin-1")
    try:
        handed = handover.verify(_house(), _desk(), token, NOW)
    except handover.TokenError as error:
        assert KEY not in error.reason  # noqa: PT017 - most bytes are refused, and that is no failure
        return
    claims = jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_aud": False, "verify_exp": False})
    assert handed.patron == claims["sub"]


def signed_handover(data: bytes) -> None:
    """Claims of any content under a right signature: refused by the one documented error, or whole."""
    claims = jwt.utils.base64url_encode(data)
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"k"}')
    mac = hmac.new(KEY.encode(), head + b"." + claims, hashlib.sha256).digest()
    handover_token(b".".join((head, claims, jwt.utils.base64url_encode(mac))))


def return_token(data: bytes) -> None:
    """The token of a return address: good only if it was signed here and is not over."""
    token = data.decode("utf-8", "replace")
    if links.is_good(_house(), PAYMENT, token):
        until = int(token.partition(".")[0])
        assert token == links.sign(b"s" * 32, PAYMENT, until)
        assert until >= NOW.timestamp()


@cache
def _place() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ils-payment-fuzz-"))
    return folder / "config.toml"


def configuration(data: bytes) -> None:
    """A configuration of any content: read, or refused with an error that names a mend."""
    os.environ["FUZZ_SECRET"] = "CANARY-of-the-environment-with-40-letters"
    path = _place()
    path.write_bytes(data)
    try:
        load_settings(path)
    except ConfigurationError as error:
        assert "CANARY" not in str(error)  # noqa: PT017 - as above


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: cast("Callable[[bytes], None]", one)
    for one in (
        stripe_notice,
        signed_notice,
        raw_request,
        handover_token,
        signed_handover,
        return_token,
        configuration,
    )
}
