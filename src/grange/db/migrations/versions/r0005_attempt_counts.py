"""What a pipeline counts during an attempt: frames, seconds of its stages, models loaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from grange.db.base import JSONText

revision = "0005_attempt_counts"
down_revision = "0004_uploads"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("counts", JSONText, nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "counts")
