"""Which worker of another machine has a task's present attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_task_holders"
down_revision = "0006_workers"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("holder", sa.String(10), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "holder")
