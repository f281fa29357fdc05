"""The name of a library system is often its address, which may be longer than forty characters.

Revision 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the column; SQLite keeps texts of any length and needs nothing."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("private_patrons", "library", type_=sa.String(length=500))
