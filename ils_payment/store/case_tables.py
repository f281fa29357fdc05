"""The tables of what people decide: cases, refunds, and the reasons they gave."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ils_payment.store.tables import Instant, metadata

_ID = String(40)
_CODE = String(60)
_ACTOR = String(80)

cases = Table(
    "cases",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("library", String(40), nullable=False),
    Column(
        "payment_id",
        _ID,
        ForeignKey("payments.id"),
        index=True,
        comment="null: something that no payment here belongs to.",
    ),
    Column("kind", _CODE, nullable=False),
    Column(
        "subject",
        String(255),
        nullable=False,
        comment="What exactly it is about; the same difference is a case once. May be empty.",
    ),
    Column("facts", Text, nullable=False, comment="JSON: ids, cents and codes only."),
    Column(
        "version", Integer, nullable=False, comment="Rises with each decision: two clerks cannot both win."
    ),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", _ACTOR),
    Column("resolution", _CODE),
    Column("told_at", Instant, comment="When staff was last told."),
    Index(
        "uq_cases_open_kind",
        "payment_id",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    Index(
        "uq_cases_subject",
        "library",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("subject <> ''"),
        postgresql_where=text("subject <> ''"),
    ),
    Index(
        "ix_cases_open",
        "opened_at",
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

refunds = Table(
    "refunds",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey("payments.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", _CODE, nullable=False, comment="refund or chargeback"),
    Column("state", _CODE, nullable=False, comment="See domain.refunds.RefundState."),
    Column("meaning", _CODE, nullable=False, comment="fee_stays, fee_dropped, double_payment, or empty"),
    Column("cents", BigInteger, nullable=False),
    Column(
        "parts",
        Text,
        nullable=False,
        comment="JSON list of [line id or null, account it was reserved from, cents].",
    ),
    Column("key", _ID, nullable=False, unique=True, comment="The idempotency key at the provider."),
    Column("provider_ref", String(255)),
    Column("tries", Integer, nullable=False),
    Column("tried_at", Instant),
    Column("asked_by", _ACTOR, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("approved_by", _ACTOR),
    Column("ended_at", Instant),
    Column("case_id", _ID, ForeignKey("cases.id")),
    Column("charge_state", _CODE, nullable=False, comment="none, due, tried, done, by_hand"),
    Column("charge_marker", String(30), unique=True),
    Column("charge_ref", String(100)),
    Column("charge_tries", Integer, nullable=False),
    Column("charge_tried_at", Instant),
    CheckConstraint("cents > 0", name="positive"),
    UniqueConstraint("payment_id", "number"),
    UniqueConstraint("payment_id", "provider_ref"),
)

private_reasons = Table(
    "private_reasons",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey("payments.id"), index=True),
    Column("case_id", _ID, ForeignKey("cases.id"), index=True),
    Column("refund_id", _ID, ForeignKey("refunds.id"), index=True),
    Column("actor", _ACTOR, nullable=False),
    Column("at", Instant, nullable=False),
    Column("key", LargeBinary, nullable=False, comment="HMAC key: the chain holds a digest of the text."),
    Column("text", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)
