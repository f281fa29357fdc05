"""A small identity provider: real signatures, PKCE, single-use codes, and habits that can be wrong."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from ils_payment.model import RawRequest, Reply

HOST = "login.lindental.example"
ISSUER = f"https://{HOST}/realms/town"
CLIENT = "ils-payment"
SECRET = "the secret of/ils+payment at the provider"

_KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("now", "other")}


class OidcProvider:
    """Answers discovery, keys and token requests; ``allow`` is what its sign-in page does."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.codes: dict[str, dict[str, Any]] = {}
        self.metadata: dict[str, Any] = {}
        self.sign_with = "now"
        self.header: dict[str, Any] = {"kid": "now"}
        self.up = True

    def allow(self, address: str, **claims: Any) -> dict[str, str]:
        """Let a person in who came with *address*; return the parameters of the way back."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        now = int(self.world.now().timestamp())
        said = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "person-1",
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": asked["nonce"],
            "preferred_username": "Ada Berger",
            "groups": ["everybody", "library-clerks"],
            **claims,
        }
        self.codes[code] = {
            "asked": asked,
            "claims": {name: value for name, value in said.items() if value is not None},
        }
        return {"state": asked["state"], "code": code, "iss": ISSUER}

    def handle(self, request: RawRequest) -> Reply:
        if not self.up:
            return Reply(status=503)
        if request.path == "/realms/town/.well-known/openid-configuration":
            return _json(
                {
                    "issuer": ISSUER,
                    "authorization_endpoint": f"{ISSUER}/auth",
                    "token_endpoint": f"{ISSUER}/token",
                    "jwks_uri": f"{ISSUER}/keys",
                    "authorization_response_iss_parameter_supported": True,
                    **self.metadata,
                }
            )
        if request.path == "/realms/town/keys":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_KEYS["now"].public_key()))
            return _json({"keys": [{**public, "kid": "now", "use": "sig", "alg": "RS256"}]})
        assert (request.method, request.path) == ("POST", "/realms/town/token")
        return self._token(request)

    def _token(self, request: RawRequest) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        held = self.codes.pop(form["code"], None)
        if held is None or not self._is_client(request, form):
            return _json({"error": "invalid_grant"}, 400)
        asked = held["asked"]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        assert challenge.rstrip(b"=").decode() == asked["code_challenge"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        if self.sign_with == "none":
            token = jwt.encode(held["claims"], "", algorithm="none")
        elif self.sign_with == "shared":
            token = jwt.encode(held["claims"], SECRET, algorithm="HS256", headers=self.header)
        else:
            token = jwt.encode(held["claims"], _KEYS[self.sign_with], algorithm="RS256", headers=self.header)
        return _json({"access_token": "unused", "token_type": "Bearer", "id_token": token})

    def _is_client(self, request: RawRequest, form: dict[str, str]) -> bool:
        if "client_secret" in form:
            return (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        return pair == "ils-payment:the%20secret%20of%2Fils%2Bpayment%20at%20the%20provider"

    def truth(self) -> dict[str, Any]:
        return {"codes": list(self.codes)}


def _json(body: object, status: int = 200) -> Reply:
    return Reply(
        status=status, body=json.dumps(body).encode(), headers=(("content-type", "application/json"),)
    )
