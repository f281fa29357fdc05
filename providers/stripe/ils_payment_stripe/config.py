"""What an administrator writes in ``[libraries.<key>.providers.stripe]``."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback

_KEY = re.compile(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]+")
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9_+/=-]+")
_CHECKOUT_ORIGIN = "https://checkout.stripe.com"


class StripeConfig(PluginConfig):
    """One Stripe account of one library."""

    api_key: Secret = Field(
        description="The restricted key (rk_...) or secret key (sk_...); a test key moves no money.",
    )
    webhook_secrets: tuple[Secret, ...] = Field(
        min_length=1,
        description="The webhook endpoint's signing secrets (whsec_...); two while one is replaced.",
    )
    statement_descriptor: str = Field(
        description="What stands on the payer's bank statement, e.g. STADTBIBLIOTHEK; 5 to 22 characters. "
        "For cards Stripe puts the account's own prefix before it and cuts the whole at 22.",
        examples=["STADTBIBLIOTHEK"],
    )
    allow_klarna: bool = Field(
        default=False,
        description="Offer Klarna too as instant bank transfer; it can offer the payer credit.",
    )
    checkout_origin: str = Field(
        default="",
        description="Where Stripe's payment page lies if the account has a domain of its own there, "
        "e.g. https://pay.example.org; otherwise leave it out.",
    )
    api_base: str = Field(
        default="",
        description="Another address in place of Stripe's API, for tests and the demonstration only.",
    )

    @property
    def live(self) -> bool:
        """Tell whether the key moves real money."""
        return "_live_" in self.api_key.get_secret_value()[:8]

    @property
    def page_origin(self) -> str:
        """Return the origin that the payer's browser is sent to."""
        return self.checkout_origin or self.api_base or _CHECKOUT_ORIGIN

    @field_validator("api_key")
    @classmethod
    def _recognise_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text.startswith("pk_"):
            raise ValueError("this is Stripe's publishable key; use a restricted key, which begins with rk_")
        if not _KEY.fullmatch(text):
            raise ValueError(
                "a Stripe key begins with rk_test_, rk_live_, sk_test_ or sk_live_; copy it once more"
            )
        return value

    @field_validator("webhook_secrets")
    @classmethod
    def _recognise_secrets(cls, values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_WEBHOOK_SECRET.fullmatch(value.get_secret_value()) for value in values):
            raise ValueError(
                "a signing secret begins with whsec_; copy it from the webhook endpoint's page at Stripe",
            )
        return values

    @field_validator("statement_descriptor")
    @classmethod
    def _follow_card_networks(cls, value: str) -> str:
        """Hold the text against Stripe's published rules for statement descriptors."""
        if not 5 <= len(value) <= 22:
            raise ValueError(f"this has {len(value)} characters; Stripe takes 5 to 22")
        if not (value.isascii() and value.isprintable()):
            raise ValueError("Stripe takes plain Latin letters only; write ae, oe, ue and ss")
        if set(value) & set("<>\\'\"*"):
            raise ValueError("Stripe takes none of < > \\ ' \" * here; leave them out")
        if not any(character.isalpha() for character in value):
            raise ValueError("Stripe wants at least one letter; add the library's name")
        if value != value.strip():
            raise ValueError("this begins or ends with a space; remove it")
        return value

    @field_validator("api_base", "checkout_origin")
    @classmethod
    def _keep_origin_only(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if (
            not parts.hostname
            or parts.path not in {"", "/"}
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise ValueError(
                "this is more or less than an origin; write scheme and host only, e.g. https://pay.example.org"
            )
        if not _is_safe(parts):
            raise ValueError(
                "only https is allowed here (plain http for 127.0.0.1 and localhost); write https://"
            )
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _keep_live_key_at_stripe(self) -> StripeConfig:
        if self.api_base and self.live:
            raise ValueError("api_base sends the key to another address; a live key is never used with it")
        return self


def _is_safe(parts: SplitResult) -> bool:
    """Tell whether nobody on the way can read what is sent there."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
