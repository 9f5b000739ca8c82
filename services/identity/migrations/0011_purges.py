"""the purge that is under way on a project"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("projects", sa.Column("operation_id", sa.String(36), nullable=True))
