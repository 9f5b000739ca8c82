"""the audit trail"""

import sqlalchemy as sa
from alembic import op

from mesh import columns

revision = "0008"
down_revision = "0007"
_TEXTS = {
    "action": 128,
    "outcome": 16,
    "reason": 64,
    "initiator_type": 64,
    "initiator_id": 64,
    "initiator_name": 255,
    "project_id": 64,
    "domain_id": 64,
    "user_domain_id": 64,
    "via": 64,
    "credential_id": 64,
    "address": 255,
    "target_type": 128,
    "target_id": 255,
    "observer_type": 64,
    "observer_id": 64,
    "path": 255,
    "trace_id": 32,
}


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", columns.Timestamp(), nullable=False),
        *[sa.Column(name, sa.String(length=length), nullable=False) for name, length in _TEXTS.items()],
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_events_by_time", "audit_events", ["at", "id"])
    for what in ("project", "initiator", "target"):
        op.create_index(f"audit_events_of_{what}", "audit_events", [f"{what}_id", "at", "id"])
