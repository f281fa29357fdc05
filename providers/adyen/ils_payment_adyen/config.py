"""What an administrator writes in ``[libraries.<key>.providers.adyen]``."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback

_HMAC_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_PREFIX = re.compile(r"[A-Za-z0-9]+-[A-Za-z0-9]+", re.ASCII)
_STATEMENT = re.compile(r"[A-Za-z0-9 .,'_\-?+*/]+", re.ASCII)
_STATEMENT_LIMIT = 22
_LINK_ORIGINS = {"test": "https://test.adyen.link", "live": "https://eu.adyen.link"}
"""Of the examples in Adyen's API description (test), and as seen in public code (live, unverified)."""
_SESSION_ORIGINS = {
    "test": "https://checkoutshopper-test.adyen.com",
    "live": "https://checkoutshopper-live.adyen.com",
}
"""Unverified: Adyen does not publish where the hosted page of a session lies. ``check`` looks."""


class AdyenConfig(PluginConfig):
    """One merchant account of one library at Adyen."""

    api_key: Secret = Field(description="The API key of an API credential with the Checkout roles.")
    merchant_account: str = Field(
        min_length=1,
        max_length=80,
        description="The merchant account that takes the money, as Adyen spells it.",
        examples=["StadtbibliothekECOM"],
    )
    hmac_keys: tuple[Secret, ...] = Field(
        min_length=1,
        description="The webhook's HMAC keys (64 hexadecimal digits); two while one is replaced.",
    )
    webhook_user: str = Field(default="", description="The webhook's user name, if it has basic auth.")
    webhook_password: Secret | None = Field(default=None, description="The password that belongs to it.")
    platform: Literal["test", "live"] = Field(
        default="test", description="Whether real money moves; keys and webhooks of both are different."
    )
    live_prefix: str = Field(
        default="",
        description="The prefix of the live addresses (API URLs at Adyen), e.g. 1797a841fbb37ca7-Library.",
    )
    checkout: Literal["links", "sessions"] = Field(
        default="links",
        description="links: pages that can be read and closed (Pay by Link). sessions: hosted Checkout; "
        "it brings the payer back by itself, but an abandoned one holds its fees until Adyen tells its end.",
    )
    country: str = Field(
        default="DE", pattern="^[A-Z]{2}$", description="The country whose ways to pay are offered."
    )
    statement: str = Field(
        description="What stands on the payer's bank statement, e.g. STADTBIBLIOTHEK; at most 22 characters.",
        examples=["STADTBIBLIOTHEK"],
    )
    allow_klarna: bool = Field(
        default=False,
        description="Offer Klarna too as instant bank transfer; it can offer the payer credit.",
    )
    page_origin: str = Field(
        default="",
        description="Where Adyen's payment page lies if check says that it is another address than expected.",
    )
    api_base: str = Field(
        default="",
        description="Another address in place of Adyen's API, for tests and the demonstration only.",
    )

    @property
    def live(self) -> bool:
        """Tell whether real money moves."""
        return self.platform == "live"

    @property
    def redirect_origin(self) -> str:
        """Return the origin that the payer's browser is sent to."""
        known = _LINK_ORIGINS if self.checkout == "links" else _SESSION_ORIGINS
        return self.page_origin or self.api_base or known[self.platform]

    @field_validator("hmac_keys")
    @classmethod
    def _recognise_keys(cls, values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_HMAC_KEY.fullmatch(value.get_secret_value()) for value in values):
            raise ValueError(
                "an HMAC key has 64 hexadecimal digits; generate it on the webhook's page at Adyen"
            )
        return values

    @field_validator("live_prefix")
    @classmethod
    def _recognise_prefix(cls, value: str) -> str:
        if value and not _PREFIX.fullmatch(value):
            raise ValueError("write the prefix only, e.g. 1797a841fbb37ca7-Stadtbibliothek, without https://")
        return value

    @field_validator("statement")
    @classmethod
    def _follow_banks(cls, value: str) -> str:
        """Hold the text against what Adyen publishes for ``shopperStatement``."""
        if not 1 <= len(value) <= _STATEMENT_LIMIT:
            raise ValueError(f"this has {len(value)} characters; Adyen takes 1 to {_STATEMENT_LIMIT}")
        if not _STATEMENT.fullmatch(value) or value != value.strip():
            raise ValueError(
                "Adyen takes plain letters, digits, spaces (none at the ends) and . , ' _ - ? + * / here; "
                "write ae, oe, ue and ss"
            )
        return value

    @field_validator("api_base", "page_origin")
    @classmethod
    def _keep_origin_only(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        beyond = parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username
        if not parts.hostname or beyond:
            raise ValueError(
                "this is more or less than an origin; write scheme and host only, e.g. https://pay.example.org"
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError(
                "only https is allowed here (plain http for 127.0.0.1 and localhost); write https://"
            )
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _fit_together(self) -> AdyenConfig:
        if self.live and not self.live_prefix:
            raise ValueError(
                "live_prefix is missing: copy it from Developers, API URLs in Adyen's Customer Area"
            )
        if self.api_base and self.live:
            raise ValueError('api_base sends the key to another address; never with platform = "live"')
        if bool(self.webhook_user) != (self.webhook_password is not None):
            raise ValueError("webhook_user and webhook_password belong together: set both or neither")
        return self
