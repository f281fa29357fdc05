"""The tables of the configuration that open the staff pages, which are off without them."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ils_payment.config.fields import Network, Table, wrong_at
from ils_payment.secret import Secret
from ils_payment.transport import is_loopback

RoleName = Literal["clerk", "treasurer", "auditor", "technician"]
"""The roles of :mod:`ils_payment.domain.roles`; a test holds the two against each other."""


class Oidc(Table):
    """``[staff.oidc]``: sign-in through an identity provider (OpenID Connect)."""

    issuer: str = Field(
        description="Address of the identity provider, exactly as its tokens name it in `iss`.",
        examples=["https://login.town.example/realms/town"],
    )
    client_id: str = Field(
        min_length=1,
        description="Name of this program at the identity provider; the return address to register there"
        " is public_url + /staff/oidc/return.",
        examples=["ils-payment"],
    )
    client_secret: Secret = Field(
        description="Secret of this program at the identity provider.", examples=[{"env": "OIDC_SECRET"}]
    )
    label: str = Field("Single sign-on", min_length=1, description="What the sign-in button says.")
    scopes: tuple[str, ...] = Field(
        ("openid", "profile"), description="Scopes to ask for; openid must be one of them."
    )
    acr: str | None = Field(
        None,
        description="Level of authentication (acr) that the token must name, e.g. for a second factor.",
    )
    name_claim: str = Field("preferred_username", description="Claim with the name that colleagues see.")
    role_claim: str = Field(
        "groups", description="Claim with the groups or roles; a dot leads into an inner object."
    )
    roles: dict[str, RoleName] = Field(
        min_length=1,
        description="Role by value of role_claim; the first that fits counts, without one nobody comes in.",
        examples=[{"library-clerks": "clerk", "treasury": "treasurer"}],
    )
    library_claim: str | None = Field(
        None,
        description="Claim with the keys of the libraries that the person works for; without it, all.",
        examples=["libraries"],
    )

    @field_validator("issuer")
    @classmethod
    def _https(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write it as https://login.town.example, as the tokens name it")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("must begin with https://; the identity provider has to offer that")
        return value

    @field_validator("scopes")
    @classmethod
    def _openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError('must hold "openid"; add it')
        return value


class Staff(Table):
    """``[staff]``: the pages for staff below /staff; without this table there are none."""

    allowed_networks: tuple[Network, ...] = Field(
        (),
        description="Only from these addresses or networks do the staff pages exist; empty: from everywhere.",
        examples=[["10.20.0.0/16"]],
    )
    local_accounts: bool = Field(
        default=True,
        description="Whether accounts of `ils-payment staff add` (password and authenticator) may sign in.",
    )
    oidc: Oidc | None = Field(None, description="Sign-in through an identity provider.")

    @model_validator(mode="after")
    def _some_way_in(self) -> Staff:
        if not self.local_accounts and self.oidc is None:
            raise wrong_at(
                "local_accounts",
                "without local accounts and without [staff.oidc] nobody can sign in; remove this line, or "
                "add the table",
            )
        return self
