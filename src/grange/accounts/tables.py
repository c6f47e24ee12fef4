"""The tables of the accounts: users, groups, what proves who is asking, and the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, Row, SmallInteger, String, Table, Text

from grange.db import BigId, JSONText, Seconds, metadata

# A row of some select over these tables.
Record = Row[*tuple[Any, ...]]

users = Table(
    "users",
    metadata,
    Column("id", String(10), primary_key=True),
    # In lower case, so that nobody has two accounts by writing it in another way.
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(8), nullable=False),
    # An Argon2 hash; nothing until the user has chosen a password.
    Column("password", Text, nullable=True),
    Column("disabled", SmallInteger, nullable=False, server_default="0"),
    Column("quota_bytes", BigId, nullable=True),
    Column("created_at", Seconds, nullable=False),
    Column("seen_at", Seconds, nullable=True),
)

groups = Table(
    "user_groups",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Seconds, nullable=False),
)

members = Table(
    "group_members",
    metadata,
    Column("group", String(10), ForeignKey("user_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user", String(10), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_group_members_user", "user"),
)

# Of every secret only the SHA-256 is kept: they have 256 bits of chance, so none can be guessed.
one_time_keys = Table(
    "one_time_keys",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("user", String(10), ForeignKey("users.id", ondelete="CASCADE"), nullable=True),
    Column("created_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    Index("ix_one_time_keys_user", "user"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("user", String(10), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("seen_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    Column("address", String(64), nullable=False, server_default=""),
    Column("agent", String(200), nullable=False, server_default=""),
    Index("ix_sessions_user", "user"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("user", String(10), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    # Words with spaces between.
    Column("scopes", String(40), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("expires_at", Seconds, nullable=False),
    Column("used_at", Seconds, nullable=True),
    Column("revoked_at", Seconds, nullable=True),
    Index("ix_tokens_user", "user"),
)

# Failed logins of one e-mail address, or from one network address; the subject is a hash of it.
login_failures = Table(
    "login_failures",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("first_at", Seconds, nullable=False),
    Column("last_at", Seconds, nullable=False),
    Column("blocked_until", Seconds, nullable=False, server_default="0"),
)

# Triggers refuse every change of what is written here. It refers to nothing: lines outlive users.
audit = Table(
    "audit",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("at", Seconds, nullable=False),
    Column("user", String(10), nullable=True),
    Column("who", String(254), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(300), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", JSONText, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_who", "who", "number"),
    Index("ix_audit_action", "action", "number"),
)

# One row: the newest line. Whoever writes a line holds it, so the lines form one chain.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # What the first line is chained to: chance, and no other site's.
    Column("genesis", String(64), nullable=False),
    Column("number", BigId, nullable=False),
    Column("hash", String(64), nullable=False),
)

# What was made for a request that may come again.
repeats = Table(
    "repeats",
    metadata,
    Column("user", String(10), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("resource", String(10), nullable=False),
    Column("answer", JSONText, nullable=True),
    Column("created_at", Seconds, nullable=False, index=True),
)
