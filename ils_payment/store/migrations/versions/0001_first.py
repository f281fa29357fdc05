"""The first schema: payments, claims, the append-only ledger, and private texts apart.

Revision 0001.
"""

import sqlalchemy as sa
from alembic import op

from ils_payment.store.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "counters",
        sa.Column(
            "bucket",
            sa.String(length=64),
            nullable=False,
            comment="HMAC of what is counted (card, address, network).",
        ),
        sa.Column("window", sa.BigInteger(), nullable=False, comment="Start of the window, epoch seconds."),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "window", name=op.f("pk_counters")),
    )
    op.create_index(op.f("ix_counters_expires_at"), "counters", ["expires_at"], unique=False)
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "name",
            sa.String(length=40),
            nullable=False,
            comment="Random id of this installation, carried in provider metadata.",
        ),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            nullable=False,
            comment="Signs sessions, CSRF tokens and return links.",
        ),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "notices",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column(
            "provider",
            sa.String(length=60),
            nullable=False,
            comment="The provider's table name: one provider account.",
        ),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("session_ref", sa.String(length=255), nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=True),
        sa.Column(
            "observation", sa.Text(), nullable=True, comment="JSON, only from providers that cannot be read."
        ),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column(
            "handled",
            sa.String(length=60),
            nullable=True,
            comment="null: new; due, foreign (no payment of ours)",
        ),
        sa.PrimaryKeyConstraint("library", "provider", "key", name=op.f("pk_notices")),
    )
    op.create_index(
        "ix_notices_new",
        "notices",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("handled IS NULL"),
        postgresql_where=sa.text("handled IS NULL"),
    )
    op.create_index("ix_notices_received", "notices", ["received_at"], unique=False)
    op.create_table(
        "private_patrons",
        sa.Column(
            "id",
            sa.String(length=40),
            nullable=False,
            comment="Random: all other tables know the patron by this id only.",
        ),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column(
            "patron_ref",
            sa.String(length=200),
            nullable=True,
            comment="The library system's id; null once erased.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_patrons")),
        sa.UniqueConstraint("library", "patron_ref", name=op.f("uq_private_patrons_library_patron_ref")),
    )
    op.create_table(
        "used_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of issuer and jti."),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_tokens")),
    )
    op.create_index(op.f("ix_used_tokens_expires_at"), "used_tokens", ["expires_at"], unique=False)
    op.create_table(
        "patron_leases",
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="Microseconds of the lease clock."),
        sa.ForeignKeyConstraint(
            ["patron_id"], ["private_patrons.id"], name=op.f("fk_patron_leases_patron_id")
        ),
        sa.PrimaryKeyConstraint("patron_id", name=op.f("pk_patron_leases")),
    )
    op.create_table(
        "payments",
        sa.Column(
            "id",
            sa.String(length=40),
            nullable=False,
            comment="128 random bits; the reference at the provider.",
        ),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=60), nullable=False),
        sa.Column("void_reason", sa.String(length=60), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column(
            "captured", sa.BigInteger(), nullable=False, comment="What the provider said it took; 0 before."
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("method", sa.String(length=60), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("receipt_number", sa.String(length=40), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("paid_at", Instant(), nullable=True),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column(
            "alarmed_at",
            Instant(),
            nullable=True,
            comment="When staff was last told that this payment does not settle.",
        ),
        sa.Column(
            "due_at",
            Instant(),
            nullable=True,
            comment="When advance() is to be called next; null when nothing is left to do.",
        ),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True, comment="Microseconds of the lease clock."),
        sa.CheckConstraint("cents > 0", name=op.f("ck_payments_positive")),
        sa.ForeignKeyConstraint(["patron_id"], ["private_patrons.id"], name=op.f("fk_payments_patron_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("receipt_number", name=op.f("uq_payments_receipt_number")),
    )
    op.create_index("ix_payments_created", "payments", ["created_at"], unique=False)
    op.create_index(
        "ix_payments_due",
        "payments",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_payments_patron", "payments", ["patron_id", "created_at"], unique=False)
    op.create_index(
        "ix_payments_unended",
        "payments",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("state NOT IN ('void', 'settled', 'resolved')"),
        postgresql_where=sa.text("state NOT IN ('void', 'settled', 'resolved')"),
    )
    op.create_table(
        "private_sessions",
        sa.Column(
            "id",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of the cookie: the database alone opens no session.",
        ),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patron_id"], ["private_patrons.id"], name=op.f("fk_private_sessions_patron_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_sessions")),
    )
    op.create_index(op.f("ix_private_sessions_ends_at"), "private_sessions", ["ends_at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column(
            "key", sa.String(length=40), nullable=False, comment="The idempotency key at the provider."
        ),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column(
            "request", sa.Text(), nullable=False, comment="The exact request; nothing personal is in it."
        ),
        sa.Column("session_ref", sa.String(length=255), nullable=True),
        sa.Column(
            "url", sa.Text(), nullable=True, comment="Where the payer pays, while the session is open."
        ),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column(
            "outcome", sa.String(length=60), nullable=False, comment="unclear until known: started, refused"
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_attempts_payment_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempts")),
        sa.UniqueConstraint("payment_id", "number", name=op.f("uq_attempts_payment_id_number")),
    )
    op.create_index("ix_attempts_session", "attempts", ["provider", "session_ref"], unique=False)
    op.create_table(
        "audit",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("what", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=60), nullable=False, comment="The state after it."),
        sa.Column("facts", sa.Text(), nullable=False, comment="JSON: ids, cents and codes only."),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_audit_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_audit")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False, comment="JSON: ids, cents and codes only."),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("resolution", sa.String(length=60), nullable=True),
        sa.Column("told_at", Instant(), nullable=True, comment="When staff was last told."),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_cases_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
    )
    op.create_index(op.f("ix_cases_payment_id"), "cases", ["payment_id"], unique=False)
    op.create_index(
        "uq_cases_open_kind",
        "cases",
        ["payment_id", "kind"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "claims",
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("claim_key", sa.String(length=100), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["patron_id"], ["private_patrons.id"], name=op.f("fk_claims_patron_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_claims_payment_id")),
        sa.PrimaryKeyConstraint("patron_id", "claim_key", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_payment_id"), "claims", ["payment_id"], unique=False)
    op.create_table(
        "credit_orders",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("marker", sa.String(length=30), nullable=False),
        sa.Column("line_ids", sa.Text(), nullable=False, comment="JSON list of payment line ids."),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.String(length=60),
            nullable=False,
            comment="due, open (tried, unresolved), applied, given_up (a person decides)",
        ),
        sa.Column("remote_ref", sa.String(length=100), nullable=True),
        sa.Column(
            "confirmed_at",
            Instant(),
            nullable=True,
            comment="When the marker was seen in the library system.",
        ),
        sa.ForeignKeyConstraint(
            ["patron_id"], ["private_patrons.id"], name=op.f("fk_credit_orders_patron_id")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_credit_orders_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_orders")),
        sa.UniqueConstraint("marker", name=op.f("uq_credit_orders_marker")),
        sa.UniqueConstraint("payment_id", "position", name=op.f("uq_credit_orders_payment_id_position")),
    )
    op.create_index("ix_credit_orders_confirmed", "credit_orders", ["confirmed_at"], unique=False)
    op.create_index(
        "uq_credit_orders_open_patron",
        "credit_orders",
        ["patron_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "payment_lines",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("claim_key", sa.String(length=100), nullable=False),
        sa.Column("fee_ref", sa.String(length=100), nullable=True),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("cost_centre", sa.String(length=100), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.CheckConstraint("cents > 0", name=op.f("ck_payment_lines_positive")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_lines_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_lines")),
        sa.UniqueConstraint("payment_id", "claim_key", name=op.f("uq_payment_lines_payment_id_claim_key")),
    )
    op.create_index(op.f("ix_payment_lines_payment_id"), "payment_lines", ["payment_id"], unique=False)
    op.create_table(
        "private_mails",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False, comment="receipt, case or unsettled"),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=True),
        sa.Column(
            "case_id", sa.String(length=40), nullable=True, comment="The case that a staff mail is about."
        ),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_private_mails_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_mails")),
    )
    op.create_index(op.f("ix_private_mails_due_at"), "private_mails", ["due_at"], unique=False)
    op.create_index(op.f("ix_private_mails_payment_id"), "private_mails", ["payment_id"], unique=False)
    op.create_table(
        "private_payments",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column(
            "key",
            sa.LargeBinary(),
            nullable=False,
            comment="HMAC key: the chain holds digests of the private texts.",
        ),
        sa.Column("lines", sa.Text(), nullable=False, comment="JSON: the fee texts and labels by line id."),
        sa.Column(
            "digest", sa.String(length=64), nullable=False, comment="HMAC of lines, as the chain has it."
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_private_payments_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_private_payments")),
    )
    op.create_table(
        "credit_tries",
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column(
            "before",
            sa.Text(),
            nullable=False,
            comment="JSON: open cents by claim key, balance, and when read.",
        ),
        sa.Column(
            "outcome",
            sa.String(length=60),
            nullable=True,
            comment="null: unclear from started_at on; applied, not_applied, unclear",
        ),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["credit_orders.id"], name=op.f("fk_credit_tries_order_id")),
        sa.PrimaryKeyConstraint("order_id", "number", name=op.f("pk_credit_tries")),
    )
    op.create_table(
        "postings",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "audit_number",
            sa.Integer(),
            nullable=False,
            comment="The audit row whose hash covers this posting.",
        ),
        sa.Column(
            "line_id", sa.String(length=40), nullable=True, comment="null: an amount that belongs to no line."
        ),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("destination", sa.String(length=60), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.CheckConstraint("cents > 0", name=op.f("ck_postings_positive")),
        sa.CheckConstraint("source <> destination", name=op.f("ck_postings_moves")),
        sa.ForeignKeyConstraint(["line_id"], ["payment_lines.id"], name=op.f("fk_postings_line_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_postings_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_postings")),
    )
    op.create_index("ix_postings_at", "postings", ["at"], unique=False)
