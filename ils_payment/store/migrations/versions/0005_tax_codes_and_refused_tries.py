"""The tax code of a fee is kept with its line; a renewal counts the tries that were refused.

Revision 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns.

    Lines that are there were frozen without a tax code and keep none. Of renewals that are there, each try
    counts as one that may have changed the card, as it did before.
    """
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
    op.add_column(
        "renewals",
        sa.Column(
            "refused",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="Tries of which the library system said that they did nothing.",
        ),
    )
