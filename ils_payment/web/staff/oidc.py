"""OpenID Connect: authorization code with PKCE, state and nonce; the ID token is verified here.

State, nonce and verifier are derived from a random cookie and the secret of this installation, so the
answer is good in the browser that asked only. Keys are read at each sign-in: a changed key counts at
once. The discovery document is kept for minutes, for anybody may ask for the way to the sign-in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import requests

from ils_payment.domain.roles import Role
from ils_payment.transport import is_loopback

if TYPE_CHECKING:
    from ils_payment.config import Oidc
    from ils_payment.flows.house import House

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures with a public key only: a shared secret or none at all would let a forged token pass."""
LONGEST_WAY = 600
"""Seconds that a person may take at the identity provider."""
LEEWAY = 60
"""Seconds by which the clocks may differ."""
KEPT = 300.0
"""Seconds for which the discovery document counts."""
_DEADLINE = 10.0
_MAX_BYTES = 512 * 1024

Metadata = Mapping[str, Any]
"""A discovery document."""


class OidcError(Exception):
    """Nobody can come in so; the reason is for the log and says nothing about a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom the identity provider vouches for; ``subject`` is a digest. ``proven_at``: epoch seconds."""

    subject: str
    name: str
    role: Role
    libraries: tuple[str, ...] | None
    proven_at: int | None


def new_cookie(house: House, random: str) -> str:
    """Return what the browser holds on the way: random, and when it left."""
    return f"{random}.{int(house.world.now().timestamp())}"


def authorization_address(house: House, oidc: Oidc, metadata: Metadata, cookie: str, *, again: bool) -> str:
    """Return where the browser goes; *again*: the person shall be proven once more, session or not."""
    challenge = hashlib.sha256(_derived(house, "verifier", cookie).encode()).digest()
    query = {
        "response_type": "code",
        "client_id": oidc.client_id,
        "redirect_uri": _return_address(house),
        "scope": " ".join(oidc.scopes),
        "state": _derived(house, "state", cookie),
        "nonce": _derived(house, "nonce", cookie),
        "code_challenge": _b64(challenge),
        "code_challenge_method": "S256",
        **({"prompt": "login", "max_age": "0"} if again else {}),
        **({"acr_values": oidc.acr} if oidc.acr else {}),
    }
    address = _endpoint(metadata, "authorization_endpoint")
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def check_state(house: House, cookie: str, answer: Mapping[str, str]) -> None:
    """Raise OidcError unless *answer* (the parameters of the way back) is to the question of this browser."""
    left_at = cookie.rpartition(".")[2]
    now = int(house.world.now().timestamp())
    if not left_at.isdecimal() or not 0 <= now - int(left_at) <= LONGEST_WAY:
        raise OidcError("it took too long")
    if not hmac.compare_digest(answer.get("state", "").encode(), _derived(house, "state", cookie).encode()):
        raise OidcError("the state is not ours")


def person(house: House, oidc: Oidc, metadata: Metadata, cookie: str, answer: Mapping[str, str]) -> Person:
    """Return who has come back with *answer*, whose state was checked. Raises OidcError."""
    if "error" in answer or not answer.get("code"):
        raise OidcError("the identity provider refused")
    named = answer.get("iss")
    if named is None and metadata.get("authorization_response_iss_parameter_supported") is True:
        raise OidcError("the answer does not say from whom it is")
    if named is not None and named != oidc.issuer:
        raise OidcError("the answer is from another identity provider")
    token = _redeemed(house, oidc, metadata, cookie, answer["code"])
    claims = _verified(house, oidc, metadata, cookie, token)
    return _person(house, oidc, claims)


# --- calls -------------------------------------------------------------------------------------


class Discovery:
    """The discovery document of the identity provider, read anew when it is :data:`KEPT` seconds old."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._kept: tuple[float, Metadata] | None = None

    def read(self, house: House, oidc: Oidc) -> Metadata:
        """Return the document. Raises OidcError."""
        now = house.world.monotonic()
        if self._kept is None or now - self._kept[0] >= KEPT:
            self._kept = now, _discovered(house, oidc)
        return self._kept[1]


def _discovered(house: House, oidc: Oidc) -> Metadata:
    metadata = _asked(house, "GET", f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration")
    if metadata.get("issuer") != oidc.issuer:
        raise OidcError("the discovery document names another issuer")
    return metadata


def _endpoint(metadata: Metadata, name: str) -> str:
    """Return an address of the discovery document; in clear only on this host."""
    address = str(metadata.get(name, ""))
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise OidcError(f"the discovery document has no usable {name}")
    return address


def _redeemed(house: House, oidc: Oidc, metadata: Metadata, cookie: str, code: str) -> str:
    """Redeem the code for an ID token."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _return_address(house),
        "code_verifier": _derived(house, "verifier", cookie),
    }
    secret = oidc.client_secret.get_secret_value()
    headers = {}
    if "client_secret_basic" in metadata.get(
        "token_endpoint_auth_methods_supported", ["client_secret_basic"]
    ):
        # RFC 6749 wants both parts encoded like a form before they are joined.
        pair = f"{quote(oidc.client_id, safe='')}:{quote(secret, safe='')}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": oidc.client_id, "client_secret": secret}
    answer = _asked(house, "POST", _endpoint(metadata, "token_endpoint"), data=form, headers=headers)
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise OidcError("the answer holds no ID token")
    return token


def _asked(house: House, method: str, address: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - of requests
    try:
        with house.world.session(deadline=_DEADLINE, max_bytes=_MAX_BYTES) as session:
            answer = session.request(method, address, **options)
        body = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError) as error:
        raise OidcError(f"the identity provider cannot be asked ({type(error).__name__})") from None
    if not isinstance(body, dict):
        raise OidcError(f"the identity provider answered with status {answer.status_code}")
    return body


# --- the token ---------------------------------------------------------------------------------


def _verified(house: House, oidc: Oidc, metadata: Metadata, cookie: str, token: str) -> dict[str, Any]:
    """Return the claims of an ID token that is signed, meant for us, fresh, and for this browser."""
    keys = _asked(house, "GET", _endpoint(metadata, "jwks_uri"))
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(keys, jwt.get_unverified_header(token)),
            algorithms=list(ALGORITHMS),
            audience=oidc.client_id,
            issuer=oidc.issuer,
            # The times are compared below, with the clock of the house.
            options={
                "require": ["iss", "aud", "sub", "iat", "exp", "nonce"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.PyJWTError as error:
        raise OidcError(f"the ID token is not good ({type(error).__name__})") from None
    now = int(house.world.now().timestamp())
    issued, expires = claims["iat"], claims["exp"]
    if not all(isinstance(one, int) for one in (issued, expires)):
        raise OidcError("the times of the ID token are no whole seconds")
    if expires + LEEWAY <= now or issued > now + LEEWAY or issued < now - LONGEST_WAY - LEEWAY:
        raise OidcError("the ID token is not of now; compare the clocks")
    nonce = _derived(house, "nonce", cookie)
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise OidcError("the ID token is for another sign-in")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else oidc.client_id) != oidc.client_id:
        raise OidcError("the ID token was made for another program")
    if oidc.acr is not None and claims.get("acr") != oidc.acr:
        raise OidcError("the person was not proven as staff.oidc.acr wants it")
    return claims


def _key(keys: Mapping[str, Any], header: Mapping[str, Any]) -> jwt.PyJWK:
    """Return the key that the token names; without a name, the only one."""
    usable = [key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if key.public_key_use in {None, "sig"}]
    fitting = [key for key in usable if header.get("kid") in {None, key.key_id}]
    if len(fitting) != 1:
        raise OidcError("the ID token names no key of the identity provider")
    return fitting[0]


def _person(house: House, oidc: Oidc, claims: Mapping[str, Any]) -> Person:
    held = _values(claims, oidc.role_claim)
    role = next((Role(role) for value, role in oidc.roles.items() if value in held), None)
    if role is None:
        raise OidcError("no value of staff.oidc.role_claim has a role in staff.oidc.roles")
    libraries = None
    if oidc.library_claim is not None:
        libraries = tuple(sorted(_values(claims, oidc.library_claim) & set(house.settings.libraries)))
        if not libraries:
            raise OidcError("staff.oidc.library_claim names none of the libraries here")
    name = claims.get(oidc.name_claim)
    proven_at = claims.get("auth_time")
    return Person(
        subject=hashlib.sha256(f"{oidc.issuer}\n{claims['sub']}".encode()).hexdigest(),
        name=(name if isinstance(name, str) and name.strip() else "?")[:100],
        role=role,
        libraries=libraries,
        proven_at=proven_at if isinstance(proven_at, int) else None,
    )


def _values(claims: Mapping[str, Any], path: str) -> set[str]:
    """Return the texts at *path*: one, or a list of them; a dot leads into an inner object."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    return {one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str)}


def _return_address(house: House) -> str:
    return f"{house.settings.server.public_url}/staff/oidc/return"


def _derived(house: House, what: str, cookie: str) -> str:
    """Return 256 bits that only this installation can derive from the browser's cookie."""
    return _b64(
        hmac.new(house.installation.secret, f"oidc-{what}:{cookie}".encode(), hashlib.sha256).digest()
    )


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
