"""Card renewals, eLending answers and reminders; a payment may be of nothing.

Revision 0004.
"""

import sqlalchemy as sa
from alembic import op

from ils_payment.store.tables import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MAY_BE_FREE = ("payments", "payment_lines")


def upgrade() -> None:
    """Create the new tables, widen the mails, and let amounts be zero; no row that is there is changed."""
    op.create_table(
        "renewals",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("line_id", sa.String(length=40), nullable=False),
        sa.Column(
            "tariff",
            sa.String(length=60),
            nullable=False,
            comment="The version of the tariff it was quoted from.",
        ),
        sa.Column(
            "base",
            sa.Date(),
            nullable=True,
            comment="What the card said when it was quoted; null: no expiry.",
        ),
        sa.Column("until", sa.Date(), nullable=False, comment="The expiry that was sold."),
        sa.Column(
            "renewed_on",
            sa.Date(),
            nullable=True,
            comment="The library system's own last renewal, as it was quoted.",
        ),
        sa.Column(
            "state",
            sa.String(length=60),
            nullable=False,
            comment="due, again (a person lets it begin anew), tried (no answer), renewed, given_up",
        ),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column(
            "doubts",
            sa.Integer(),
            nullable=False,
            comment="Tries without an answer; 0 again when nothing can come late any more.",
        ),
        sa.Column("tried_at", Instant(), nullable=True),
        sa.Column("renewed_at", Instant(), nullable=True),
        sa.Column(
            "charge_state", sa.String(length=60), nullable=False, comment="none, due, tried, done, by_hand"
        ),
        sa.Column("charge_marker", sa.String(length=30), nullable=True),
        sa.Column("charge_ref", sa.String(length=100), nullable=True),
        sa.Column("charge_tries", sa.Integer(), nullable=False),
        sa.Column("charge_tried_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_renewals_payment_id")),
        sa.ForeignKeyConstraint(["line_id"], ["payment_lines.id"], name=op.f("fk_renewals_line_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_renewals")),
        sa.UniqueConstraint("charge_marker", name=op.f("uq_renewals_charge_marker")),
    )
    unended = sa.text("state NOT IN ('renewed', 'given_up')")
    op.create_index(
        "ix_renewals_unended", "renewals", ["payment_id"], sqlite_where=unended, postgresql_where=unended
    )
    op.create_table(
        "elending_answers",
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column(
            "platform",
            sa.String(length=40),
            nullable=False,
            comment="The key of its table in the configuration.",
        ),
        sa.Column("verdict", sa.String(length=60), nullable=False, comment="open, blocked, cannot_tell"),
        sa.Column("asked", sa.Boolean(), nullable=False, comment="Whether the platform was truly asked."),
        sa.Column("code", sa.String(length=60), nullable=False, comment="The platform's own word."),
        sa.Column(
            "hindrances",
            sa.Text(),
            nullable=False,
            comment="JSON list of [kind, who lifts it, configured text].",
        ),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_elending_answers_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", "platform", name=op.f("pk_elending_answers")),
    )
    op.create_table(
        "private_reminders",
        sa.Column("patron_id", sa.String(length=40), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False, comment="The card's expiry that it reminds of."),
        sa.Column("days_before", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patron_id"], ["private_patrons.id"], name=op.f("fk_private_reminders_patron_id")
        ),
        sa.PrimaryKeyConstraint("patron_id", "valid_until", "days_before", name=op.f("pk_private_reminders")),
    )
    op.add_column(
        "private_mails",
        sa.Column(
            "patron_id",
            sa.String(length=40),
            nullable=True,
            comment="Whom a reminder is about.",
        ),
    )
    op.add_column(
        "private_mails",
        sa.Column(
            "facts",
            sa.Text(),
            nullable=True,
            comment="JSON: what a reminder says of the card; goes with the mail.",
        ),
    )
    _let_amounts_be_zero()


def _let_amounts_be_zero() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for table in _MAY_BE_FREE:
            op.drop_constraint(op.f(f"ck_{table}_positive"), table)
            op.create_check_constraint(op.f(f"ck_{table}_positive"), table, "cents >= 0")
        return
    # SQLite changes no constraint. A table made anew would lose its triggers and what refers to it, so
    # the text of the schema is changed, as SQLite's own documentation says for constraints that only loosen.
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    for table in _MAY_BE_FREE:
        connection.execute(
            sa.text(
                "UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (cents > 0)', 'CHECK (cents >= 0)') "
                "WHERE type = 'table' AND name = :name"
            ),
            {"name": table},
        )
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
