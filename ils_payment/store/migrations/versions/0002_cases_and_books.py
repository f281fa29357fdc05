"""What comes after the happy journey: refunds, decided cases, the journal with its seals, exports.

Revision 0002.
"""

import sqlalchemy as sa
from alembic import op

from ils_payment.store.tables import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the new tables and widen the old ones; nothing that is there is changed."""
    op.create_table(
        "exports",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column(
            "content", sa.Text(), nullable=False, comment="The file to the byte; nothing personal is in it."
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_library"), "exports", ["library"], unique=False)
    op.create_table(
        "journal",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("library", sa.String(length=40), nullable=True, comment="null: the whole installation."),
        sa.Column(
            "actor",
            sa.String(length=80),
            nullable=False,
            comment="cli:<user>, a staff account's id, or system.",
        ),
        sa.Column("what", sa.String(length=60), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False, comment="JSON: ids, cents and codes only."),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_journal")),
        comment="What staff and commands did, hash-chained over the whole installation.",
    )
    op.create_index(op.f("ix_journal_what"), "journal", ["what"], unique=False)
    op.create_table(
        "exported_remotes",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column(
            "ref", sa.String(length=255), nullable=False, comment="The provider's id of a payout or fee."
        ),
        sa.Column("export", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["export"], ["exports.number"], name=op.f("fk_exported_remotes_export")),
        sa.PrimaryKeyConstraint("library", "provider", "ref", name=op.f("pk_exported_remotes")),
    )
    op.create_index(op.f("ix_exported_remotes_export"), "exported_remotes", ["export"], unique=False)
    op.create_table(
        "sealed_heads",
        sa.Column(
            "payment_id",
            sa.String(length=40),
            nullable=False,
            comment="No foreign key: it must outlive a deleted payment.",
        ),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="The payment's last audit row at the seal."
        ),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("seal", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["seal"], ["journal.number"], name=op.f("fk_sealed_heads_seal")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_sealed_heads")),
    )
    op.create_index(op.f("ix_sealed_heads_seal"), "sealed_heads", ["seal"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False, comment="refund or chargeback"),
        sa.Column("state", sa.String(length=60), nullable=False, comment="See domain.refunds.RefundState."),
        sa.Column(
            "meaning",
            sa.String(length=60),
            nullable=False,
            comment="fee_stays, fee_dropped, double_payment, or empty",
        ),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column(
            "parts",
            sa.Text(),
            nullable=False,
            comment="JSON list of [line id or null, account it was reserved from, cents].",
        ),
        sa.Column(
            "key", sa.String(length=40), nullable=False, comment="The idempotency key at the provider."
        ),
        sa.Column("provider_ref", sa.String(length=255), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", Instant(), nullable=True),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("approved_by", sa.String(length=80), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("case_id", sa.String(length=40), nullable=True),
        sa.Column(
            "charge_state", sa.String(length=60), nullable=False, comment="none, due, tried, done, by_hand"
        ),
        sa.Column("charge_marker", sa.String(length=30), nullable=True),
        sa.Column("charge_ref", sa.String(length=100), nullable=True),
        sa.Column("charge_tries", sa.Integer(), nullable=False),
        sa.Column("charge_tried_at", Instant(), nullable=True),
        sa.CheckConstraint("cents > 0", name=op.f("ck_refunds_positive")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_refunds_case_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refunds_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("charge_marker", name=op.f("uq_refunds_charge_marker")),
        sa.UniqueConstraint("key", name=op.f("uq_refunds_key")),
        sa.UniqueConstraint("payment_id", "number", name=op.f("uq_refunds_payment_id_number")),
        sa.UniqueConstraint("payment_id", "provider_ref", name=op.f("uq_refunds_payment_id_provider_ref")),
    )
    op.create_table(
        "exported",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="The posting."),
        sa.Column("export", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["export"], ["exports.number"], name=op.f("fk_exported_export")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_exported")),
    )
    op.create_index(op.f("ix_exported_export"), "exported", ["export"], unique=False)
    op.create_table(
        "private_reasons",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("payment_id", sa.String(length=40), nullable=True),
        sa.Column("case_id", sa.String(length=40), nullable=True),
        sa.Column("refund_id", sa.String(length=40), nullable=True),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column(
            "key", sa.LargeBinary(), nullable=False, comment="HMAC key: the chain holds a digest of the text."
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_private_reasons_case_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_private_reasons_payment_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_private_reasons_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_reasons")),
    )
    op.create_index(op.f("ix_private_reasons_case_id"), "private_reasons", ["case_id"], unique=False)
    op.create_index(op.f("ix_private_reasons_payment_id"), "private_reasons", ["payment_id"], unique=False)
    op.create_index(op.f("ix_private_reasons_refund_id"), "private_reasons", ["refund_id"], unique=False)
    op.add_column(
        "attempts",
        sa.Column(
            "money_ref",
            sa.String(length=255),
            nullable=True,
            comment="The provider's id of the money itself, once it told.",
        ),
    )
    op.create_index("ix_attempts_money", "attempts", ["provider", "money_ref"], unique=False)
    _widen_cases()
    op.create_index(
        "uq_cases_open_kind",
        "cases",
        ["payment_id", "kind", "subject"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "ix_cases_open",
        "cases",
        ["opened_at"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "uq_cases_subject",
        "cases",
        ["library", "kind", "subject"],
        unique=True,
        sqlite_where=sa.text("subject <> ''"),
        postgresql_where=sa.text("subject <> ''"),
    )
    op.add_column(
        "installation",
        sa.Column(
            "unreconciled",
            sa.Boolean(),
            server_default=sa.text("(false)"),
            nullable=False,
            comment="Set by a restore: nothing is written outside until reconcile has run.",
        ),
    )
    op.add_column(
        "installation",
        sa.Column(
            "journal_rows",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How many rows the journal has: a tail that was cut off shows.",
        ),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.add_column(
        "postings",
        sa.Column(
            "currency",
            sa.String(length=3),
            server_default="",
            nullable=False,
            comment="Empty: the payment's own; else what the provider took instead.",
        ),
    )


def _widen_cases() -> None:
    """Let a case be about something that no payment belongs to; the known ones get their library."""
    op.drop_index("uq_cases_open_kind", table_name="cases")
    # SQLite cannot change a column in place; the table is no append-only one, so copying it is allowed.
    with op.batch_alter_table("cases") as cases:
        cases.add_column(sa.Column("library", sa.String(length=40), nullable=False, server_default=""))
        cases.add_column(
            sa.Column(
                "subject",
                sa.String(length=255),
                nullable=False,
                server_default="",
                comment="What exactly it is about; the same difference is a case once. May be empty.",
            )
        )
        cases.add_column(sa.Column("closed_by", sa.String(length=80)))
        cases.alter_column(
            "payment_id",
            existing_type=sa.String(length=40),
            nullable=True,
            comment="null: something that no payment here belongs to.",
        )
        cases.alter_column(
            "version",
            existing_type=sa.Integer(),
            existing_nullable=False,
            comment="Rises with each decision: two clerks cannot both win.",
        )
    op.execute(
        "UPDATE cases SET library = "
        "(SELECT payments.library FROM payments WHERE payments.id = cases.payment_id)"
    )
    with op.batch_alter_table("cases") as cases:
        for name, length in (("library", 40), ("subject", 255)):
            cases.alter_column(
                name, existing_type=sa.String(length=length), existing_nullable=False, server_default=None
            )
