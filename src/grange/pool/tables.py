"""The tables of the pool: workers, and the tokens by which they join."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, SmallInteger, String, Table

from grange.db import JSONText, Seconds, metadata

# Of every secret only the SHA-256 is kept: they have 256 bits of chance, so none can be guessed.
worker_tokens = Table(
    "worker_tokens",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("labels", JSONText, nullable=False),
    # Who made it; nobody for the operator at the machine.
    Column("by", String(10), nullable=True),
    Column("created_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    Column("uses", Integer, nullable=False, server_default="1"),
    Column("used", Integer, nullable=False, server_default="0"),
    Column("used_at", Seconds, nullable=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(10), primary_key=True),
    # Of the secret that the worker itself made: one that joins again after a lost answer has it.
    Column("key", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("token", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("labels", JSONText, nullable=False),
    Column("capacity", JSONText, nullable=False),
    Column("version", String(40), nullable=False),
    Column("protocol", Integer, nullable=False),
    Column("system", String(200), nullable=False),
    Column("address", String(64), nullable=False),
    Column("metrics_url", String(300), nullable=False),
    Column("joined_at", Seconds, nullable=False),
    Column("seen_at", Seconds, nullable=False),
    Column("beat", JSONText, nullable=True),
    Column("removed_at", Seconds, nullable=True),
    # Whether the engine may still know its credentials.
    Column("known_to_engine", SmallInteger, nullable=False, server_default="0"),
    Index("ix_workers_state", "state"),
)
