"""${message}"""

import sqlalchemy as sa
from alembic import op
% if down_revision is None:

from mesh import columns, tables
% else:

from mesh import columns
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
% if down_revision is None:
    tables.create(op)
% endif
    ${upgrades if upgrades else "pass"}
