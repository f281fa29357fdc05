"""Every table. Ids are random texts, amounts integer minor units, instants UTC.

Tables named ``private_*`` hold what belongs to persons and can be erased; all others hold random
ids, cents and codes only. ``postings``, ``audit`` are append-only by trigger
(:mod:`ils_payment.store.triggers`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """A UTC instant as whole microseconds since 1970: sorts, compares and hashes alike on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware datetime into microseconds."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an aware datetime."""
        if value is None:
            return None
        return _EPOCH + timedelta(microseconds=value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    """Return whole microseconds since 1970."""
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_ID = String(40)
_CODE = String(60)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "name", _ID, nullable=False, comment="Random id of this installation, carried in provider metadata."
    ),
    Column("secret", LargeBinary, nullable=False, comment="Signs sessions, CSRF tokens and return links."),
    Column("paused", Boolean, nullable=False),
    Column(
        "unreconciled",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Set by a restore: nothing is written outside until reconcile has run.",
    ),
    Column(
        "journal_rows",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="How many rows the journal has: a tail that was cut off shows.",
    ),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("id = 1", name="only_one"),
)

private_patrons = Table(
    "private_patrons",
    metadata,
    Column("id", _ID, primary_key=True, comment="Random: all other tables know the patron by this id only."),
    # The name of the library system, often its address; SQLite keeps texts of any length.
    Column("library", String(40).with_variant(String(500), "postgresql"), nullable=False),
    Column("patron_ref", String(200), comment="The library system's id; null once erased."),
    UniqueConstraint("library", "patron_ref"),
)

patron_leases = Table(
    "patron_leases",
    metadata,
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), primary_key=True),
    Column("owner", _ID, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False, comment="Microseconds of the lease clock."),
)

payments = Table(
    "payments",
    metadata,
    Column("id", _ID, primary_key=True, comment="128 random bits; the reference at the provider."),
    Column("library", String(40), nullable=False),
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), nullable=False),
    Column("state", _CODE, nullable=False),
    Column("void_reason", _CODE),
    Column("held", Boolean, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False, comment="What the provider said it took; 0 before."),
    Column("currency", String(3), nullable=False),
    Column("method", _CODE, nullable=False),
    Column("provider", _CODE, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("language", String(8), nullable=False),
    Column("receipt_number", _ID, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("paid_at", Instant),
    Column("settled_at", Instant),
    Column("alarmed_at", Instant, comment="When staff was last told that this payment does not settle."),
    Column(
        "due_at", Instant, comment="When advance() is to be called next; null when nothing is left to do."
    ),
    Column("fence", BigInteger, nullable=False),
    Column("lease_owner", _ID),
    Column("lease_until", BigInteger, comment="Microseconds of the lease clock."),
    # A renewal that costs nothing is a payment of nothing.
    CheckConstraint("cents >= 0", name="positive"),
    Index(
        "ix_payments_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("ix_payments_patron", "patron_id", "created_at"),
    # The handful of payments that are not at an end: a chore looks at them every half minute.
    Index(
        "ix_payments_unended",
        "created_at",
        sqlite_where=text("state NOT IN ('void', 'settled', 'resolved')"),
        postgresql_where=text("state NOT IN ('void', 'settled', 'resolved')"),
    ),
    Index("ix_payments_created", "created_at"),
)

payment_lines = Table(
    "payment_lines",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey("payments.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(100), nullable=False),
    Column("claim_key", String(100), nullable=False),
    Column("fee_ref", String(100)),
    Column("cents", BigInteger, nullable=False),
    Column("cost_centre", String(100), nullable=False),
    Column("account", String(100), nullable=False),
    Column(
        "tax_code",
        String(100),
        nullable=False,
        server_default="",
        comment="Empty for lines frozen before it was kept.",
    ),
    CheckConstraint("cents >= 0", name="positive"),
    UniqueConstraint("payment_id", "claim_key"),
)

claims = Table(
    "claims",
    metadata,
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), primary_key=True),
    Column("claim_key", String(100), primary_key=True),
    Column("payment_id", _ID, ForeignKey("payments.id"), nullable=False, index=True),
)

private_payments = Table(
    "private_payments",
    metadata,
    Column("payment_id", _ID, ForeignKey("payments.id"), primary_key=True),
    Column(
        "key", LargeBinary, nullable=False, comment="HMAC key: the chain holds digests of the private texts."
    ),
    Column("lines", Text, nullable=False, comment="JSON: the fee texts and labels by line id."),
    Column("digest", String(64), nullable=False, comment="HMAC of lines, as the chain has it."),
)

private_mails = Table(
    "private_mails",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", _CODE, nullable=False, comment="receipt, case or unsettled"),
    Column("recipient", String(320), nullable=False),
    Column("payment_id", _ID, ForeignKey("payments.id"), index=True),
    Column("case_id", _ID, comment="The case that a staff mail is about."),
    Column("patron_id", _ID, comment="Whom a reminder is about."),
    Column("facts", Text, comment="JSON: what a reminder says of the card; goes with the mail."),
    Column("language", String(8), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", _ID, primary_key=True, comment="The idempotency key at the provider."),
    Column("payment_id", _ID, ForeignKey("payments.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("provider", _CODE, nullable=False),
    Column("request", Text, nullable=False, comment="The exact request; nothing personal is in it."),
    Column("session_ref", String(255)),
    Column("money_ref", String(255), comment="The provider's id of the money itself, once it told."),
    Column("url", Text, comment="Where the payer pays, while the session is open."),
    Column("expires_at", Instant),
    Column("outcome", _CODE, nullable=False, comment="unclear until known: started, refused"),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("payment_id", "number"),
    Index("ix_attempts_session", "provider", "session_ref"),
    Index("ix_attempts_money", "provider", "money_ref"),
)

notices = Table(
    "notices",
    metadata,
    Column("library", String(40), primary_key=True),
    Column("provider", _CODE, primary_key=True, comment="The provider's table name: one provider account."),
    Column("key", String(255), primary_key=True),
    Column("kind", String(100), nullable=False),
    Column("session_ref", String(255)),
    Column("reference", String(255)),
    Column("observation", Text, comment="JSON, only from providers that cannot be read."),
    Column("received_at", Instant, nullable=False),
    Column("handled", _CODE, comment="null: new; due, foreign (no payment of ours)"),
    Index("ix_notices_received", "received_at"),
    Index(
        "ix_notices_new",
        "received_at",
        sqlite_where=text("handled IS NULL"),
        postgresql_where=text("handled IS NULL"),
    ),
)

credit_orders = Table(
    "credit_orders",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey("payments.id"), nullable=False),
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("marker", String(30), nullable=False, unique=True),
    Column("line_ids", Text, nullable=False, comment="JSON list of payment line ids."),
    Column("cents", BigInteger, nullable=False),
    Column(
        "state",
        _CODE,
        nullable=False,
        comment="due, open (tried, unresolved), applied, given_up (a person decides)",
    ),
    Column("remote_ref", String(100)),
    Column("confirmed_at", Instant, comment="When the marker was seen in the library system."),
    UniqueConstraint("payment_id", "position"),
    Index(
        "uq_credit_orders_open_patron",
        "patron_id",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_credit_orders_confirmed", "confirmed_at"),
)

credit_tries = Table(
    "credit_tries",
    metadata,
    Column("order_id", _ID, ForeignKey("credit_orders.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("before", Text, nullable=False, comment="JSON: open cents by claim key, balance, and when read."),
    Column("outcome", _CODE, comment="null: unclear from started_at on; applied, not_applied, unclear"),
    Column("reason", String(200)),
    Column("finished_at", Instant),
)

audit = Table(
    "audit",
    metadata,
    Column("payment_id", _ID, ForeignKey("payments.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("what", _CODE, nullable=False),
    Column("state", _CODE, nullable=False, comment="The state after it."),
    Column("facts", Text, nullable=False, comment="JSON: ids, cents and codes only."),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    # The sealer asks for what is new.
    Index("ix_audit_at", "at"),
)

postings = Table(
    "postings",
    metadata,
    Column("payment_id", _ID, ForeignKey("payments.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("audit_number", Integer, nullable=False, comment="The audit row whose hash covers this posting."),
    Column(
        "line_id", _ID, ForeignKey("payment_lines.id"), comment="null: an amount that belongs to no line."
    ),
    Column("source", _CODE, nullable=False),
    Column("destination", _CODE, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column(
        "currency",
        String(3),
        nullable=False,
        server_default="",
        comment="Empty: the payment's own; else what the provider took instead.",
    ),
    Column("at", Instant, nullable=False),
    CheckConstraint("cents > 0", name="positive"),
    CheckConstraint("source <> destination", name="moves"),
    Index("ix_postings_at", "at"),
)

private_sessions = Table(
    "private_sessions",
    metadata,
    Column(
        "id",
        String(64),
        primary_key=True,
        comment="SHA-256 of the cookie: the database alone opens no session.",
    ),
    Column("library", String(40), nullable=False),
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), nullable=False),
    Column("language", String(8), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False, index=True),
)

used_tokens = Table(
    "used_tokens",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of issuer and jti."),
    Column("expires_at", Instant, nullable=False, index=True),
)

counters = Table(
    "counters",
    metadata,
    Column(
        "bucket", String(64), primary_key=True, comment="HMAC of what is counted (card, address, network)."
    ),
    Column("window", BigInteger, primary_key=True, comment="Start of the window, epoch seconds."),
    Column("count", Integer, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)
