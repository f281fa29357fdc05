"""The tables of the installation's own trail: journal, seals, exports. All append-only."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)

from ils_payment.store.tables import Instant, metadata

_ID = String(40)
_CODE = String(60)

journal = Table(
    "journal",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("library", String(40), comment="null: the whole installation."),
    Column("actor", String(80), nullable=False, comment="cli:<user>, a staff account's id, or system."),
    Column("what", _CODE, nullable=False, index=True),
    Column("facts", Text, nullable=False, comment="JSON: ids, cents and codes only."),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    comment="What staff and commands did, hash-chained over the whole installation.",
)

sealed_heads = Table(
    "sealed_heads",
    metadata,
    Column("payment_id", _ID, primary_key=True, comment="No foreign key: it must outlive a deleted payment."),
    Column("number", Integer, primary_key=True, comment="The payment's last audit row at the seal."),
    Column("hash", String(64), nullable=False),
    Column("seal", BigInteger, ForeignKey("journal.number"), nullable=False, index=True),
)

exports = Table(
    "exports",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("library", String(40), nullable=False, index=True),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("at", Instant, nullable=False),
    Column("content", Text, nullable=False, comment="The file to the byte; nothing personal is in it."),
    Column("sha256", String(64), nullable=False),
)

exported = Table(
    "exported",
    metadata,
    Column("payment_id", _ID, primary_key=True),
    Column("number", Integer, primary_key=True, comment="The posting."),
    Column("export", Integer, ForeignKey("exports.number"), nullable=False, index=True),
)

exported_remotes = Table(
    "exported_remotes",
    metadata,
    Column("library", String(40), primary_key=True),
    Column("provider", _CODE, primary_key=True),
    Column("ref", String(255), primary_key=True, comment="The provider's id of a payout or fee."),
    Column("export", Integer, ForeignKey("exports.number"), nullable=False, index=True),
)
