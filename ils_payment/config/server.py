"""``[server]`` and ``[mail]``: where the program lives, and how it sends mail."""

from __future__ import annotations

import ssl
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from ils_payment.config.fields import MAIL, Network, Table, wrong_at
from ils_payment.secret import Secret
from ils_payment.transport import is_loopback

EMBEDDED = "embedded"
"""The runner that the core brings; every other one is a plugin."""


class Server(Table):
    """``[server]``: the process, its address and its database."""

    public_url: str = Field(
        description="Address under which patrons and providers reach this program, without a path.",
        examples=["https://pay.library.example"],
    )
    database: str = Field(
        "sqlite:////var/lib/ils-payment/ledger.db",
        description="SQLAlchemy URL of the ledger: sqlite:////absolute/path or postgresql://user@host/name.",
    )
    database_password: Secret | None = Field(
        None,
        description="Password of the PostgreSQL user, if it needs one.",
        examples=[{"env": "DATABASE_PASSWORD"}],
    )
    runner: str = Field(
        "embedded",
        min_length=1,
        description="Who settles: embedded, or procrastinate for several hosts over one PostgreSQL.",
    )
    bind: str = Field(
        "127.0.0.1", description="Address on which the program listens (the web server is in front)."
    )
    port: int = Field(8480, ge=1, le=65535, description="Port on which the program listens.")
    trusted_proxies: tuple[Network, ...] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of the web servers in front: only these may say X-Forwarded-For.",
    )
    ca_bundle: str | None = Field(
        None,
        description="File with more certificate authorities (PEM), beside the public ones.",
        examples=["/etc/ssl/certs/town-ca.pem"],
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of the log lines: text or json.")
    metrics_token: Secret | None = Field(
        None,
        description="Bearer token for /metrics; without it only this host may ask.",
        examples=[{"env": "METRICS_TOKEN"}],
    )

    @field_validator("public_url")
    @classmethod
    def _https(cls, value: str) -> str:
        parts = urlsplit(value.rstrip("/"))
        if not parts.hostname or parts.path or parts.query or parts.scheme not in {"https", "http"}:
            raise ValueError("write it as https://pay.library.example, without a path")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must begin with https:// (payments need an encrypted connection)")
        return value.rstrip("/")

    @field_validator("ca_bundle")
    @classmethod
    def _authorities(cls, value: str | None) -> str | None:
        try:
            ssl.create_default_context().load_verify_locations(value) if value else None
        except OSError as error:
            reason = error.strerror or str(error)
            raise ValueError(f"{value} is no readable file of certificates (PEM): {reason}") from None
        return value

    @field_validator("database")
    @classmethod
    def _without_password(cls, value: str) -> str:
        if not value.startswith(("sqlite:////", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("write it as sqlite:////absolute/path or postgresql://user@host/name")
        parts = urlsplit(value)
        if parts.password or "password" in parse_qs(parts.query):
            raise ValueError("a password must not stand here in clear; use database_password")
        return value

    @model_validator(mode="after")
    def _one_writer_needs_one_host(self) -> Server:
        if self.runner != EMBEDDED and self.database.startswith("sqlite:"):
            raise wrong_at(
                "runner",
                f"{self.runner} works on several hosts, and SQLite has one writer; "
                f"set database to postgresql://user@host/name, or runner to {EMBEDDED}",
            )
        return self


class Mail(Table):
    """``[mail]``: the mail server for staff messages and receipts. Without it no mail is sent."""

    host: str = Field(description="Name of the mail server.", examples=["mail.library.example"])
    port: int = Field(587, ge=1, le=65535, description="Port: 587 (STARTTLS), 465 (TLS) or 25 on this host.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="Encryption: starttls, tls, or none for a mail server on this host."
    )
    user: str | None = Field(
        None, description="User name at the mail server, if it wants one.", examples=["ils-payment"]
    )
    password: Secret | None = Field(
        None, description="Password at the mail server.", examples=[{"env": "MAIL_PASSWORD"}]
    )
    sender: str = Field(
        pattern=MAIL, description="From address of all mails.", examples=["pay@library.example"]
    )

    @model_validator(mode="after")
    def _user_and_password(self) -> Mail:
        if (self.user is None) != (self.password is None):
            given, missing = ("user", "password") if self.password is None else ("password", "user")
            raise wrong_at(given, f"user and password belong together; add {missing}, or remove {given}")
        if self.password is not None and self.security == "none":
            raise wrong_at("security", "a password goes over starttls or tls only; choose one of them")
        if self.security == "none" and not is_loopback(self.host):
            raise wrong_at(
                "security", "only a mail server on this host needs no encryption; write starttls or tls"
            )
        return self
