"""The accounts: users, groups, sessions, tokens, and the audit log, which nothing may change."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from grange.db.base import MYSQL_TABLE, BigId, JSONText, Seconds

revision = "0002_accounts"
down_revision = "0001_runs"

REFUSAL = "the audit log is only ever added to"
# MySQL with a binary log lets only a superuser make triggers, unless it is told otherwise.
MYSQL_TRIGGERS_NEED_SUPER = 1419


def upgrade() -> None:
    _create_users()
    _create_groups()
    _create_keys()
    _create_sessions()
    _create_tokens()
    _create_failures()
    _create_audit()
    _create_head()
    _create_repeats()
    _protect_audit()


def downgrade() -> None:
    for table in ("repeats", "audit_head", "audit", "login_failures", "tokens", "sessions"):
        op.drop_table(table)
    for table in ("one_time_keys", "group_members", "user_groups", "users"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_append_only()")


def _user(*, nullable: bool = False, primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user", sa.String(10), key, nullable=nullable, primary_key=primary_key)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("password", sa.Text, nullable=True),
        sa.Column("disabled", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("quota_bytes", BigId, nullable=True),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("seen_at", Seconds, nullable=True),
        **MYSQL_TABLE,
    )


def _create_groups() -> None:
    op.create_table(
        "user_groups",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("created_at", Seconds, nullable=False),
        **MYSQL_TABLE,
    )
    group = sa.ForeignKey("user_groups.id", ondelete="CASCADE")
    op.create_table(
        "group_members",
        sa.Column("group", sa.String(10), group, primary_key=True),
        _user(primary_key=True),
        sa.Index("ix_group_members_user", "user"),
        **MYSQL_TABLE,
    )


def _create_keys() -> None:
    op.create_table(
        "one_time_keys",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(12), nullable=False),
        _user(nullable=True),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("expires_at", Seconds, nullable=False),
        sa.Index("ix_one_time_keys_user", "user"),
        **MYSQL_TABLE,
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        _user(),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("seen_at", Seconds, nullable=False),
        sa.Column("expires_at", Seconds, nullable=False),
        sa.Column("address", sa.String(64), nullable=False, server_default=""),
        sa.Column("agent", sa.String(200), nullable=False, server_default=""),
        sa.Index("ix_sessions_user", "user"),
        **MYSQL_TABLE,
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        _user(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scopes", sa.String(40), nullable=False),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("expires_at", Seconds, nullable=False),
        sa.Column("used_at", Seconds, nullable=True),
        sa.Column("revoked_at", Seconds, nullable=True),
        sa.Index("ix_tokens_user", "user"),
        **MYSQL_TABLE,
    )


def _create_failures() -> None:
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("first_at", Seconds, nullable=False),
        sa.Column("last_at", Seconds, nullable=False),
        sa.Column("blocked_until", Seconds, nullable=False, server_default="0"),
        **MYSQL_TABLE,
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", BigId, primary_key=True, autoincrement=False),
        sa.Column("at", Seconds, nullable=False),
        sa.Column("user", sa.String(10), nullable=True),
        sa.Column("who", sa.String(254), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("detail", JSONText, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Index("ix_audit_who", "who", "number"),
        sa.Index("ix_audit_action", "action", "number"),
        **MYSQL_TABLE,
    )


def _create_head() -> None:
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("genesis", sa.String(64), nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        **MYSQL_TABLE,
    )
    genesis = secrets.token_hex(32)
    op.bulk_insert(head, [{"id": 1, "genesis": genesis, "number": 0, "hash": genesis}])


def _create_repeats() -> None:
    op.create_table(
        "repeats",
        sa.Column("user", sa.String(10), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("resource", sa.String(10), nullable=False),
        sa.Column("answer", JSONText, nullable=True),
        sa.Column("created_at", Seconds, nullable=False, index=True),
        **MYSQL_TABLE,
    )


def _protect_audit() -> None:
    {"sqlite": _on_sqlite, "postgresql": _on_postgresql, "mysql": _on_mysql}[
        op.get_bind().dialect.name
    ]()


def _on_sqlite() -> None:
    for change in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER audit_no_{change} BEFORE {change} ON audit "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    # INSERT OR REPLACE would delete without a word.
    op.execute(
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "  # noqa: S608 (a constant)
        "WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )


def _on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
    )


def _on_mysql() -> None:
    for change in ("update", "delete"):
        try:
            op.execute(
                f"CREATE TRIGGER audit_no_{change} BEFORE {change} ON audit FOR EACH ROW "
                f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'"
            )
        except sa.exc.DBAPIError as error:
            # Without it a change is still found, by the chain; it is just not refused.
            number = error.orig.args[0] if error.orig and error.orig.args else None
            if number != MYSQL_TRIGGERS_NEED_SUPER:
                raise
