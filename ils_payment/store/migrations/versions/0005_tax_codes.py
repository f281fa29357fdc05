"""The tax code of a fee is kept with its line, as cost centre and account are.

Revision 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; lines that are there were frozen without a tax code and keep none."""
    op.add_column(
        "payment_lines",
        sa.Column(
            "tax_code",
            sa.String(length=100),
            nullable=False,
            server_default="",
            comment="Empty for lines frozen before it was kept.",
        ),
    )
