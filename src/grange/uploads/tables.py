"""The tables of what people send. The migrations make them; this is how the code sees them.

Users' ids are plain text here: what a user sent outlives nobody, but other domains own the users.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Row, String, Table

from grange.db import BigId, KeyText, PathText, Seconds, metadata

Record = Row[Any]

folders = Table(
    "folders",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("owner", String(10), nullable=False),
    Column("name", String(200), nullable=False, server_default=""),
    Column("created_at", Seconds, nullable=False),
    # Kept with every change of the files, so that no list has to count them.
    Column("files", BigId, nullable=False, server_default="0"),
    Column("bytes", BigId, nullable=False, server_default="0"),
    Index("ix_folders_owner_created_at", "owner", "created_at"),
)

folder_files = Table(
    "folder_files",
    metadata,
    Column("folder", String(10), ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True),
    Column("path_key", KeyText(255), primary_key=True),
    Column("path", PathText, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigId, nullable=False),
    Column("kind", String(100), nullable=False),
    Index("ix_folder_files_sha256", "sha256"),
    sqlite_with_rowid=False,
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("owner", String(10), nullable=False),
    Column("name", String(255), nullable=False, server_default=""),
    # Where the finished file goes. No foreign key: a folder takes its uploads along by itself.
    Column("folder", String(10), nullable=True),
    Column("path", PathText, nullable=True),
    Column("size", BigId, nullable=False),
    # Set once it is whole: from then on a content is what counts, no longer the upload's file.
    Column("sha256", String(64), nullable=True),
    Column("created_at", Seconds, nullable=False),
    Column("progress_at", Seconds, nullable=False),
    Index("ix_uploads_owner", "owner"),
    Index("ix_uploads_folder", "folder"),
    Index("ix_uploads_sha256", "sha256"),
    Index("ix_uploads_progress_at", "progress_at"),
)

# Who knows which content: only what somebody sent themselves may they use by its digest.
blobs = Table(
    "blobs",
    metadata,
    Column("owner", String(10), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("size", BigId, nullable=False),
    Column("kind", String(100), nullable=False),
    Column("known_at", Seconds, nullable=False),
    Index("ix_blobs_sha256", "sha256"),
    sqlite_with_rowid=False,
)
