"""The tables of staff accounts. All are private: names live here and nowhere else, and can be erased."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text

from ils_payment.store.tables import Instant, metadata

_ID = String(40)
_DIGEST = String(64)

private_staff = Table(
    "private_staff",
    metadata,
    Column("id", _ID, primary_key=True, comment="Random: journal, cases and refunds know the person by it."),
    Column("name", String(100), nullable=False, comment="What colleagues see."),
    Column("login", String(100), unique=True, comment="Name to sign in with; null for identity providers."),
    Column("subject", _DIGEST, unique=True, comment="SHA-256 of issuer and sub at an identity provider."),
    Column("role", String(20), nullable=False),
    Column("libraries", Text, comment="JSON list of library keys; null: all."),
    Column("password", String(255), comment="argon2id; null until the link was used."),
    Column("totp", LargeBinary, comment="Shared secret of the authenticator."),
    Column("totp_step", BigInteger, nullable=False, comment="Last time step used: no code counts twice."),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
)

private_staff_codes = Table(
    "private_staff_codes",
    metadata,
    Column("digest", _DIGEST, primary_key=True, comment="SHA-256 of a recovery code (120 random bits)."),
    Column("staff_id", _ID, ForeignKey("private_staff.id"), nullable=False, index=True),
)

private_staff_links = Table(
    "private_staff_links",
    metadata,
    Column("digest", _DIGEST, primary_key=True, comment="SHA-256 of a one-time link's token."),
    Column("staff_id", _ID, ForeignKey("private_staff.id"), nullable=False, index=True),
    Column("expires_at", Instant, nullable=False),
)

private_staff_sessions = Table(
    "private_staff_sessions",
    metadata,
    Column("id", _DIGEST, primary_key=True, comment="SHA-256 of the cookie."),
    Column("staff_id", _ID, ForeignKey("private_staff.id"), nullable=False, index=True),
    Column("language", String(8), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
    Column(
        "fresh_at", Instant, nullable=False, comment="When the person was last proven by more than a cookie."
    ),
)
