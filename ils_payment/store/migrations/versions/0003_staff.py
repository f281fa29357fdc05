"""Accounts for the staff pages, with what they prove themselves with and their sessions.

Revision 0003.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ils_payment.store.tables import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the new tables; nothing that is there is changed."""
    op.create_table(
        "private_staff",
        sa.Column(
            "id",
            sa.String(length=40),
            nullable=False,
            comment="Random: journal, cases and refunds know the person by it.",
        ),
        sa.Column("name", sa.String(length=100), nullable=False, comment="What colleagues see."),
        sa.Column(
            "login",
            sa.String(length=100),
            nullable=True,
            comment="Name to sign in with; null for identity providers.",
        ),
        sa.Column(
            "subject",
            sa.String(length=64),
            nullable=True,
            comment="SHA-256 of issuer and sub at an identity provider.",
        ),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("libraries", sa.Text(), nullable=True, comment="JSON list of library keys; null: all."),
        sa.Column(
            "password",
            sa.String(length=255),
            nullable=True,
            comment="argon2id; null until the link was used.",
        ),
        sa.Column("totp", sa.LargeBinary(), nullable=True, comment="Shared secret of the authenticator."),
        sa.Column(
            "totp_step",
            sa.BigInteger(),
            nullable=False,
            comment="Last time step used: no code counts twice.",
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_staff")),
        sa.UniqueConstraint("login", name=op.f("uq_private_staff_login")),
        sa.UniqueConstraint("subject", name=op.f("uq_private_staff_subject")),
    )
    for table, comment in (
        ("private_staff_codes", "SHA-256 of a recovery code (120 random bits)."),
        ("private_staff_links", "SHA-256 of a one-time link's token."),
    ):
        expiry: list[sa.Column[Any]] = []
        if table.endswith("links"):
            expiry = [sa.Column("expires_at", Instant(), nullable=False)]
        op.create_table(
            table,
            sa.Column("digest", sa.String(length=64), nullable=False, comment=comment),
            sa.Column("staff_id", sa.String(length=40), nullable=False),
            *expiry,
            sa.ForeignKeyConstraint(["staff_id"], ["private_staff.id"], name=op.f(f"fk_{table}_staff_id")),
            sa.PrimaryKeyConstraint("digest", name=op.f(f"pk_{table}")),
        )
        op.create_index(op.f(f"ix_{table}_staff_id"), table, ["staff_id"], unique=False)
    op.create_table(
        "private_staff_sessions",
        sa.Column("id", sa.String(length=64), nullable=False, comment="SHA-256 of the cookie."),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column(
            "fresh_at",
            Instant(),
            nullable=False,
            comment="When the person was last proven by more than a cookie.",
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["private_staff.id"], name=op.f("fk_private_staff_sessions_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_staff_sessions")),
    )
    for column in ("staff_id", "ends_at"):
        op.create_index(
            op.f(f"ix_private_staff_sessions_{column}"), "private_staff_sessions", [column], unique=False
        )
