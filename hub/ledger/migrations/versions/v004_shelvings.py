"""An index of shelvings, so that a start finds the few that last among all alarms that ever were."""

import sqlalchemy as sa
from alembic import op

revision = "004"
down_revision = "003"


def upgrade() -> None:
    shelved = sa.text("step = 'shelved'")
    columns = ["device", "topic", "seq", "subject"]
    op.create_index("ix_entry_shelved", "entry", columns, sqlite_where=shelved, postgresql_where=shelved)
