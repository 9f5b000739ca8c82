"""The import that is under way on an image."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("images", sa.Column("operation_id", sa.String(36), nullable=True))
