"""The tables of what follows a payment: card renewals, eLending answers, and reminders."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, String, Table, Text, text

from ils_payment.store.tables import Instant, metadata

_ID = String(40)
_CODE = String(60)

renewals = Table(
    "renewals",
    metadata,
    Column("payment_id", _ID, ForeignKey("payments.id"), primary_key=True),
    Column("line_id", _ID, ForeignKey("payment_lines.id"), nullable=False),
    Column("tariff", String(60), nullable=False, comment="The version of the tariff it was quoted from."),
    Column("base", Date, comment="What the card said when it was quoted; null: no expiry."),
    Column("until", Date, nullable=False, comment="The expiry that was sold."),
    Column("renewed_on", Date, comment="The library system's own last renewal, as it was quoted."),
    Column(
        "state",
        _CODE,
        nullable=False,
        comment="due, again (a person lets it begin anew), tried (no answer), renewed, given_up",
    ),
    Column("tries", Integer, nullable=False),
    Column(
        "refused",
        Integer,
        nullable=False,
        server_default="0",
        comment="Tries of which the library system said that they did nothing.",
    ),
    Column(
        "doubts",
        Integer,
        nullable=False,
        comment="Tries without an answer; 0 again when nothing can come late any more.",
    ),
    Column("tried_at", Instant),
    Column("renewed_at", Instant),
    Column("charge_state", _CODE, nullable=False, comment="none, due, tried, done, by_hand"),
    Column("charge_marker", String(30), unique=True),
    Column("charge_ref", String(100)),
    Column("charge_tries", Integer, nullable=False),
    Column("charge_tried_at", Instant),
)

elending_answers = Table(
    "elending_answers",
    metadata,
    Column("payment_id", _ID, ForeignKey("payments.id"), primary_key=True),
    Column("platform", String(40), primary_key=True, comment="The key of its table in the configuration."),
    Column("verdict", _CODE, nullable=False, comment="open, blocked, cannot_tell"),
    Column("asked", Boolean, nullable=False, comment="Whether the platform was truly asked."),
    Column("code", _CODE, nullable=False, comment="The platform's own word."),
    Column("hindrances", Text, nullable=False, comment="JSON list of [kind, who lifts it, configured text]."),
    Column("as_of", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
)

private_reminders = Table(
    "private_reminders",
    metadata,
    Column("patron_id", _ID, ForeignKey("private_patrons.id"), primary_key=True),
    Column("valid_until", Date, primary_key=True, comment="The card's expiry that it reminds of."),
    Column("days_before", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
)

Index(
    "ix_renewals_unended",
    renewals.c.payment_id,
    sqlite_where=text("state NOT IN ('renewed', 'given_up')"),
    postgresql_where=text("state NOT IN ('renewed', 'given_up')"),
)
