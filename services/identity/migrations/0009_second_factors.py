"""second factors"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    required = sa.Column("second_factor_required", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("users", required)
    op.create_table(
        "totp",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
    )
