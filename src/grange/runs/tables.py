"""The tables of the ledger: runs, items, tasks, attempts, outputs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from grange.db import BigId, JSONText, KeyText, PathText, Seconds, metadata, where_set

# A row of some select over these tables.
Record = Row[*tuple[Any, ...]]

runs = Table(
    "runs",
    metadata,
    Column("number", BigId, primary_key=True),
    Column("id", String(10), nullable=False, unique=True),
    Column("name", String(200), nullable=False, server_default=""),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("pipeline", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("params", JSONText, nullable=False),
    Column("models", JSONText, nullable=False),
    # What decides the bytes of a result besides the input: pipeline, version, models, parameters.
    Column("function_key", String(64), nullable=False),
    # The whole request, so that the same command finds its own unfinished run.
    Column("request_key", String(64), nullable=False),
    # Set while the run is unfinished, so that no two unfinished runs write to one place.
    Column("out_key", String(64), nullable=True, unique=True),
    Column("out", Text, nullable=False),
    Column("inputs", JSONText, nullable=False),
    Column("plan", JSONText, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("timeout_seconds", Seconds, nullable=True),
    Column("note", Text, nullable=False, server_default=""),
    Column("created_at", Seconds, nullable=False, index=True),
    Column("started_at", Seconds, nullable=True),
    Column("finished_at", Seconds, nullable=True),
    # Who drives the run, and until when that holds without a sign of life.
    Column("driver", JSONText, nullable=True),
    Column("driver_until", Seconds, nullable=True),
    # Kept by the ledger in the transactions that move items, so that no list counts items.
    Column("items_total", BigId, nullable=False, server_default="0"),
    Column("items_done", BigId, nullable=False, server_default="0"),
    Column("items_failed", BigId, nullable=False, server_default="0"),
    Column("items_cancelled", BigId, nullable=False, server_default="0"),
    Column("items_reused", BigId, nullable=False, server_default="0"),
    Column("bytes_total", BigId, nullable=False, server_default="0"),
    # The user whose run it is; nothing for one that was begun without a server.
    Column("owner", String(10), nullable=True),
    # The group whose members may look at it.
    Column("shared_with", String(10), nullable=True),
    # Between these lie the ids of its items, so that a page of them needs no index of its own.
    Column("items_first", BigId, nullable=True),
    Column("items_last", BigId, nullable=True),
    Index("ix_runs_function_key", "function_key"),
    Index("ix_runs_state_created_at", "state", "created_at"),
    Index("ix_runs_owner_created_at", "owner", "created_at", **where_set("owner")),
    Index("ix_runs_owner_state_created_at", "owner", "state", "created_at", **where_set("owner")),
    Index(
        "ix_runs_shared_with_created_at", "shared_with", "created_at", **where_set("shared_with")
    ),
    Index(
        "ix_runs_shared_with_state_created_at",
        "shared_with",
        "state",
        "created_at",
        **where_set("shared_with"),
    ),
)

items = Table(
    "items",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run", BigId, ForeignKey("runs.number", ondelete="CASCADE"), nullable=False),
    Column("path", PathText, nullable=False),
    Column("uri", Text, nullable=False),
    Column("uri_key", KeyText(255), nullable=False),
    Column("size", BigId, nullable=False),
    Column("mtime_ns", BigId, nullable=False),
    # The size's class of a quarter octave: longest first, at the cost of an append to an index.
    Column("weight", SmallInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("seconds", Seconds, nullable=False, server_default="0"),
    Column("sha256", String(64), nullable=True),
    # Hash of all that decides the result; set once done, found by equal work.
    Column("work_key", BigId, nullable=True),
    Column("reused", SmallInteger, nullable=False, server_default="0"),
    # While publishing: the attempt whose staged outputs are the item's.
    Column("token", String(40), nullable=True),
    Column("result", JSONText, nullable=True),
    Column("failure_code", String(64), nullable=True),
    Column("failure", JSONText, nullable=True),
    Column("ended_at", Seconds, nullable=True),
    UniqueConstraint("uri_key", "run"),
    Index("ix_items_run_weight", "run", "weight"),
    Index("ix_items_run_failure_code", "run", "failure_code", **where_set("failure_code")),
    Index("ix_items_run_ended_at", "run", "ended_at", **where_set("ended_at")),
    Index("ix_items_work_key", "work_key", **where_set("work_key")),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("run", BigId, ForeignKey("runs.number", ondelete="CASCADE"), nullable=False),
    Column("item", BigId, ForeignKey("items.id", ondelete="CASCADE"), nullable=True),
    Column("kind", String(8), nullable=False),
    Column("part", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("weight", SmallInteger, nullable=False),
    Column("payload", JSONText, nullable=True),
    Column("result", JSONText, nullable=True),
    Column("outputs", JSONText, nullable=True),
    # Counts every claim; only the outcome of the present one is taken.
    Column("epoch", Integer, nullable=False, server_default="0"),
    # Counts the claims that were really tried.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Seconds, nullable=False, server_default="0"),
    Column("lease_until", Seconds, nullable=True),
    # The worker of another machine that has the present claim, where one is known. Once it is
    # set it stays: with the next claim it begins anew.
    Column("holder", String(10), nullable=True),
    Index("ix_tasks_run_state", "run", "state"),
    Index("ix_tasks_item", "item"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("task", BigId, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("end", String(12), nullable=False),
    Column("worker", String(120), nullable=False, server_default=""),
    Column("ended_at", Seconds, nullable=False),
    Column("seconds", Seconds, nullable=False),
    Column("peak_bytes", BigId, nullable=False, server_default="0"),
    Column("failure", JSONText, nullable=True),
    Column("counts", JSONText, nullable=True),
    sqlite_with_rowid=False,
)

outputs = Table(
    "outputs",
    metadata,
    Column("item", BigId, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("path", PathText, nullable=False),
    Column("size", BigId, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("mtime_ns", BigId, nullable=False),
    sqlite_with_rowid=False,
)
