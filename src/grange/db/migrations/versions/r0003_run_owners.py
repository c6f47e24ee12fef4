"""Runs that belong to users: whose they are, with whom they are shared, and pages of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grange.db.base import BigId, where_set

revision = "0003_run_owners"
down_revision = "0002_accounts"

INDEXES = {
    "ix_runs_owner_created_at": ("owner", "created_at"),
    "ix_runs_owner_state_created_at": ("owner", "state", "created_at"),
    "ix_runs_shared_with_created_at": ("shared_with", "created_at"),
    "ix_runs_shared_with_state_created_at": ("shared_with", "state", "created_at"),
}


def upgrade() -> None:
    for name, kind in (
        ("owner", sa.String(10)),
        ("shared_with", sa.String(10)),
        ("items_first", BigId),
        ("items_last", BigId),
    ):
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    for name, columns in INDEXES.items():
        op.create_index(name, "runs", list(columns), **where_set(columns[0]))
    op.drop_index("ix_runs_state", "runs")
    op.create_index("ix_runs_state_created_at", "runs", ["state", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_runs_state_created_at", "runs")
    op.create_index("ix_runs_state", "runs", ["state"])
    for name in INDEXES:
        op.drop_index(name, "runs")
    for name in ("items_last", "items_first", "shared_with", "owner"):
        op.drop_column("runs", name)
