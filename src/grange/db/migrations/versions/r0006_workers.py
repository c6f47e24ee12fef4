"""Workers, and the tokens by which they join."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grange.db.base import MYSQL_TABLE, JSONText, Seconds

revision = "0006_workers"
down_revision = "0005_attempt_counts"


def upgrade() -> None:
    op.create_table(
        "worker_tokens",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("labels", JSONText, nullable=False),
        sa.Column("by", sa.String(10), nullable=True),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("expires_at", Seconds, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False, server_default="1"),
        sa.Column("used", sa.Integer, nullable=False, server_default="0"),
        sa.Column("used_at", Seconds, nullable=True),
        **MYSQL_TABLE,
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("token", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("labels", JSONText, nullable=False),
        sa.Column("capacity", JSONText, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("protocol", sa.Integer, nullable=False),
        sa.Column("system", sa.String(200), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("metrics_url", sa.String(300), nullable=False),
        sa.Column("joined_at", Seconds, nullable=False),
        sa.Column("seen_at", Seconds, nullable=False),
        sa.Column("beat", JSONText, nullable=True),
        sa.Column("removed_at", Seconds, nullable=True),
        sa.Column("known_to_engine", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Index("ix_workers_state", "state"),
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in ("workers", "worker_tokens"):
        op.drop_table(table)
