"""The ledger: runs, items, tasks, attempts, outputs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grange.db.base import (
    MYSQL_TABLE,
    BigId,
    JSONText,
    KeyText,
    PathText,
    Seconds,
    where_set,
)

revision = "0001_runs"
down_revision = None


def upgrade() -> None:
    _create_runs()
    _create_items()
    _create_tasks()
    _create_attempts()
    _create_outputs()


def downgrade() -> None:
    for table in ("outputs", "attempts", "tasks", "items", "runs"):
        op.drop_table(table)


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", BigId, primary_key=True),
        sa.Column("id", sa.String(10), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False, server_default=""),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("params", JSONText, nullable=False),
        sa.Column("models", JSONText, nullable=False),
        sa.Column("function_key", sa.String(64), nullable=False),
        sa.Column("request_key", sa.String(64), nullable=False),
        sa.Column("out_key", sa.String(64), nullable=True, unique=True),
        sa.Column("out", sa.Text, nullable=False),
        sa.Column("inputs", JSONText, nullable=False),
        sa.Column("plan", JSONText, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("timeout_seconds", Seconds, nullable=True),
        # In brackets, because MySQL takes a default for TEXT as an expression alone.
        sa.Column("note", sa.Text, nullable=False, server_default=sa.text("('')")),
        sa.Column("created_at", Seconds, nullable=False, index=True),
        sa.Column("started_at", Seconds, nullable=True),
        sa.Column("finished_at", Seconds, nullable=True),
        sa.Column("driver", JSONText, nullable=True),
        sa.Column("driver_until", Seconds, nullable=True),
        sa.Column("items_total", BigId, nullable=False, server_default="0"),
        sa.Column("items_done", BigId, nullable=False, server_default="0"),
        sa.Column("items_failed", BigId, nullable=False, server_default="0"),
        sa.Column("items_cancelled", BigId, nullable=False, server_default="0"),
        sa.Column("items_reused", BigId, nullable=False, server_default="0"),
        sa.Column("bytes_total", BigId, nullable=False, server_default="0"),
        sa.Index("ix_runs_function_key", "function_key"),
        sa.Index("ix_runs_state", "state"),
        **MYSQL_TABLE,
    )


def _create_items() -> None:
    op.create_table(
        "items",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run", BigId, sa.ForeignKey("runs.number", ondelete="CASCADE"), nullable=False),
        sa.Column("path", PathText, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("uri_key", KeyText(255), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("mtime_ns", BigId, nullable=False),
        sa.Column("weight", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("seconds", Seconds, nullable=False, server_default="0"),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("work_key", BigId, nullable=True),
        sa.Column("reused", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("token", sa.String(40), nullable=True),
        sa.Column("result", JSONText, nullable=True),
        sa.Column("failure_code", sa.String(64), nullable=True),
        sa.Column("failure", JSONText, nullable=True),
        sa.Column("ended_at", Seconds, nullable=True),
        sa.UniqueConstraint("uri_key", "run"),
        sa.Index("ix_items_run_weight", "run", "weight"),
        sa.Index("ix_items_run_failure_code", "run", "failure_code", **where_set("failure_code")),
        sa.Index("ix_items_run_ended_at", "run", "ended_at", **where_set("ended_at")),
        sa.Index("ix_items_work_key", "work_key", **where_set("work_key")),
        **MYSQL_TABLE,
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("run", BigId, sa.ForeignKey("runs.number", ondelete="CASCADE"), nullable=False),
        sa.Column("item", BigId, sa.ForeignKey("items.id", ondelete="CASCADE"), nullable=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("weight", sa.SmallInteger, nullable=False),
        sa.Column("payload", JSONText, nullable=True),
        sa.Column("result", JSONText, nullable=True),
        sa.Column("outputs", JSONText, nullable=True),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", Seconds, nullable=False, server_default="0"),
        sa.Column("lease_until", Seconds, nullable=True),
        sa.Index("ix_tasks_run_state", "run", "state"),
        sa.Index("ix_tasks_item", "item"),
        **MYSQL_TABLE,
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("task", BigId, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("end", sa.String(12), nullable=False),
        sa.Column("worker", sa.String(120), nullable=False, server_default=""),
        sa.Column("ended_at", Seconds, nullable=False),
        sa.Column("seconds", Seconds, nullable=False),
        sa.Column("peak_bytes", BigId, nullable=False, server_default="0"),
        sa.Column("failure", JSONText, nullable=True),
        sqlite_with_rowid=False,
        **MYSQL_TABLE,
    )


def _create_outputs() -> None:
    op.create_table(
        "outputs",
        sa.Column("item", BigId, sa.ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", PathText, nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("mtime_ns", BigId, nullable=False),
        sqlite_with_rowid=False,
        **MYSQL_TABLE,
    )
