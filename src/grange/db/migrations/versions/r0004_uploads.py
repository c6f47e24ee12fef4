"""What people send: folders, the files in them, unfinished uploads, and who knows what content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grange.db.base import MYSQL_TABLE, BigId, KeyText, PathText, Seconds

revision = "0004_uploads"
down_revision = "0003_run_owners"


def upgrade() -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("owner", sa.String(10), nullable=False),
        sa.Column("name", sa.String(200), nullable=False, server_default=""),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("files", BigId, nullable=False, server_default="0"),
        sa.Column("bytes", BigId, nullable=False, server_default="0"),
        sa.Index("ix_folders_owner_created_at", "owner", "created_at"),
        **MYSQL_TABLE,
    )
    op.create_table(
        "folder_files",
        sa.Column(
            "folder",
            sa.String(10),
            sa.ForeignKey("folders.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("path_key", KeyText(255), primary_key=True),
        sa.Column("path", PathText, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Index("ix_folder_files_sha256", "sha256"),
        sqlite_with_rowid=False,
        **MYSQL_TABLE,
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("owner", sa.String(10), nullable=False),
        sa.Column("name", sa.String(255), nullable=False, server_default=""),
        sa.Column("folder", sa.String(10), nullable=True),
        sa.Column("path", PathText, nullable=True),
        sa.Column("size", BigId, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("created_at", Seconds, nullable=False),
        sa.Column("progress_at", Seconds, nullable=False),
        sa.Index("ix_uploads_owner", "owner"),
        sa.Index("ix_uploads_folder", "folder"),
        sa.Index("ix_uploads_sha256", "sha256"),
        sa.Index("ix_uploads_progress_at", "progress_at"),
        **MYSQL_TABLE,
    )
    op.create_table(
        "blobs",
        sa.Column("owner", sa.String(10), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("size", BigId, nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("known_at", Seconds, nullable=False),
        sa.Index("ix_blobs_sha256", "sha256"),
        sqlite_with_rowid=False,
        **MYSQL_TABLE,
    )


def downgrade() -> None:
    for table in ("blobs", "uploads", "folder_files", "folders"):
        op.drop_table(table)
