"""What an administrator configures for SIP2, with a mend in every message."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from ils_payment.ports import PluginConfig, Secret
from ils_payment.transport import is_loopback
from ils_payment_sip2 import wire
from ils_payment_sip2.dialect import Dialect, dialect_of

_KEY_LENGTH = 32


class SIP2Config(PluginConfig):
    """The table ``[libraries.<key>.library_system]`` of a library whose system speaks SIP2."""

    host: str = Field(
        min_length=1,
        description="Name or address of the SIP2 server, or of the end of the tunnel that leads there.",
        examples=["sip2.library.example"],
    )
    port: int = Field(ge=1, le=65535, description="Its TCP port.", examples=[6443])
    security: Literal["tls", "tunnel"] = Field(
        default="tls",
        description="SIP2 itself encrypts nothing. tls: the server, or a stunnel before it, speaks TLS. "
        "tunnel: host is the end of a VPN or tunnel of your own, and nobody else can listen there.",
    )
    ca_file: str | None = Field(
        default=None,
        description="File with the authority of the server's certificate, where the system does not know it.",
    )
    preset: Literal["generic", "bibliotheca", "gossip", "koha", "evergreen"] = Field(
        description="The family of servers whose dialect is spoken; see docs/sip2.md.",
        examples=["generic"],
    )
    dialect: dict[str, str | bool | int] = Field(
        default_factory=dict,
        description='What your server does differently, such as { charset = "utf-8" }; see docs/sip2.md.',
    )
    patron_key: Secret = Field(
        description="At least 32 random characters, made once and never changed: SIP2 knows patrons by their "
        "card numbers only, and the ledger keeps these encrypted with this key.",
        examples=[{"env": "SIP2_PATRON_KEY"}],
    )
    user: str = Field(
        default="", max_length=100, description="Login of the terminal (CN).", examples=["onlinekasse"]
    )
    password: Secret | None = Field(
        default=None, description="Password of the terminal (CO).", examples=[{"env": "SIP2_PASSWORD"}]
    )
    location: str = Field(default="", max_length=100, description="Location code of the terminal (CP).")
    institution: str = Field(default="", max_length=100, description="Institution id (AO).")
    terminal_password: Secret | None = Field(
        default=None, description="Terminal password (AC), where the server wants one in each message."
    )
    payment_type: str = Field(
        default="02",
        pattern=r"^[0-9A-Z]{2}$",
        description="Payment type of what is paid online; 02 is credit card in SIP2.",
    )
    payment_types: dict[str, str] = Field(
        default_factory=dict,
        description="Payment type for single methods, where the server has one for them. "
        "00 is cash: it belongs into no online payment.",
    )
    connections: int = Field(
        default=2,
        ge=1,
        le=32,
        description="How many connections each process may hold; many servers are licensed by them.",
    )
    idle_seconds: int = Field(
        default=60, ge=0, le=3600, description="After so long without use a connection is not used again."
    )
    deadline_seconds: float = Field(
        default=15.0,
        ge=1.0,
        le=20.0,
        description="Longest time for one question, with connecting and logging in, in seconds.",
    )
    late_apply_minutes: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="How long a payment whose answer was lost may still take effect in the library system.",
    )
    remember_minutes: int = Field(
        default=10,
        ge=1,
        le=30,
        description="Where the server wants the PIN for each question: how long the answer of the sign-in is "
        "shown before the patron has to sign in again.",
    )
    check_card: Secret | None = Field(
        default=None,
        description="Number of a test card; ils-payment check reads it, and tries one wrong PIN.",
    )

    @field_validator("patron_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < _KEY_LENGTH:
            raise ValueError(
                f"the key must have at least {_KEY_LENGTH} characters; make one with: openssl rand -hex 32"
            )
        return value

    @field_validator("payment_types")
    @classmethod
    def _check_payment_types(cls, value: dict[str, str]) -> dict[str, str]:
        for code in value.values():
            if len(code) != 2 or not code.isascii() or not code.isalnum():
                raise ValueError("a payment type has two characters; write it like 02")
        return value

    @model_validator(mode="after")
    def _check_dialect(self) -> Self:
        """Refuse a dialect that is none, and values that it cannot carry."""
        try:
            spoken = dialect_of(self.preset, self.dialect)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in ("dialect", *first["loc"]))
            raise ValueError(f"{place}: {first['msg']}; docs/sip2.md lists what can stand there") from None
        secrets = {"password": self.password, "terminal_password": self.terminal_password}
        plain = {name: secret.get_secret_value() for name, secret in secrets.items() if secret}
        plain |= {"user": self.user, "location": self.location, "institution": self.institution}
        for name, value in plain.items():
            if not wire.is_safe(value, spoken):
                raise ValueError(
                    f"{name} holds a character that a SIP2 message cannot carry; choose another value"
                )
        if spoken.login and (not self.user or self.password is None):
            raise ValueError(
                "give user and password; if the server wants no login, write dialect = { login = false }"
            )
        return self

    @model_validator(mode="after")
    def _check_tunnel(self) -> Self:
        if self.ca_file is not None and self.security != "tls":
            raise ValueError('ca_file is of use with security = "tls" only; remove it')
        return self

    @cached_property
    def spoken(self) -> Dialect:
        """Return the dialect: the preset with the library's own changes."""
        return dialect_of(self.preset, self.dialect)

    @property
    def is_local(self) -> bool:
        """Tell whether the server, or the near end of the tunnel, is on this very machine."""
        return is_loopback(self.host)

    def payment_type_of(self, method: str) -> str:
        """Return the payment type for *method*."""
        return self.payment_types.get(method, self.payment_type)
