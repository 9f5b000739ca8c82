"""certificate authorities of identity providers"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    authorities = sa.Column("certificate_authorities", sa.Text(), server_default="", nullable=False)
    op.add_column("identity_providers", authorities)
