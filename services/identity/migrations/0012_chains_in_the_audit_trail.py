"""what rights were handed on by, in the audit trail"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("audit_events", sa.Column("delegation_ids", columns.Json(), nullable=True))
