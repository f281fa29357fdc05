"""What an administrator writes in ``[libraries.<key>.elending.onleihe]``."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ils_payment.money import as_configured
from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback
from ils_payment_onleihe.rules import KINDS

Fsk = Literal[0, 6, 12, 16, 18]


class OnleiheConfig(PluginConfig):
    """The Onleihe of one library. Nothing listens and nobody is asked unless this table is there."""

    mode: Literal["answer", "ask"] = Field(
        description="answer: the Onleihe asks this program at each login, with card number and PIN. ask: it "
        "goes on asking a service that the library has, and this program can ask that too.",
        examples=["answer"],
    )
    name: str = Field(
        default="Onleihe", min_length=1, description="What patrons call it, without an article."
    )
    fee_limit: str = Field(
        description="Fees above this amount block, exactly this amount does not (Koha: noissuescharge).",
        examples=["20.00"],
    )
    fee_limits: dict[str, str] = Field(
        default_factory=dict,
        description='Another amount for single patron categories, such as { KIND = "5.00" }.',
    )
    fee_kinds_not_counted: tuple[str, ...] = Field(
        default=(), description="Fee kinds that never block (Koha: types without restricts_checkouts)."
    )
    categories_not_allowed: tuple[str, ...] = Field(
        default=(), description="Patron categories that may not use the Onleihe at all."
    )
    allowed_networks: tuple[str, ...] = Field(
        default=(),
        description="With answer: the addresses from which the Onleihe asks; ask the divibib for them.",
        examples=[["203.0.113.0/28"]],
    )
    user_id: Literal["patron", "pseudonym"] = Field(
        default="patron",
        description="With answer: what userid says. patron: the library system's own id, as Koha's service "
        "does. pseudonym: a stable code from which nobody can tell it. A change makes new users there.",
    )
    pseudonym_key: Secret | None = Field(
        default=None, description="The key for pseudonyms, at least 32 characters; never change it."
    )
    fsk_unknown: Fsk = Field(default=18, description="The age rating where the birth date is unknown.")
    fsk_age_zero: Fsk = Field(
        default=0, description="The age rating in the first year of life (Koha's own service says 18)."
    )
    url: str | None = Field(
        default=None,
        description="With ask: address of the library's service.",
        examples=["https://opac.library.example/cgi-bin/koha/opac-divibib-auth.pl"],
    )
    deadline_seconds: float = Field(
        default=10.0, ge=1.0, le=20.0, description="With ask: longest time that one question may take."
    )
    delay_minutes: int | None = Field(
        default=None,
        ge=1,
        le=10080,
        description="With ask: for so long the Onleihe may still believe what was (next upload).",
    )
    texts: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description='Words of your own for what hinders, such as { address = { de = "...", en = "..." } }.',
    )

    @field_validator("fee_limit")
    @classmethod
    def _amount(cls, value: str) -> str:
        return as_configured(value)

    @field_validator("fee_limits")
    @classmethod
    def _amounts(cls, value: dict[str, str]) -> dict[str, str]:
        return {category: as_configured(amount) for category, amount in value.items()}

    @field_validator("allowed_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is no address or network; write e.g. 203.0.113.0/28") from None
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        """Accept https, and http on this machine only: a PIN travels there."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise ValueError("this is no web address; write it like https://opac.library.example/auth")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("the service must be reached by https, or PINs travel in clear; use https://")
        return value

    @field_validator("texts")
    @classmethod
    def _known_texts(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for kind, text in value.items():
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is nothing that hinders; there is: {', '.join(sorted(KINDS))}")
            if not text or not set(text) <= {"de", "en"}:
                raise ValueError(f"the text of {kind!r} needs languages; write {{ de = ..., en = ... }}")
        return value

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        if self.mode == "ask" and self.url is None:
            raise ValueError("with mode ask the service's url is missing; add url")
        if self.mode == "answer" and not self.allowed_networks:
            # Whoever may ask may try PINs.
            raise ValueError("with mode answer nobody may ask without being named; add allowed_networks")
        if self.user_id == "pseudonym" and (
            self.pseudonym_key is None or len(self.pseudonym_key.get_secret_value()) < 32
        ):
            raise ValueError("pseudonyms need pseudonym_key with 32 characters; type: openssl rand -hex 32")
        return self
