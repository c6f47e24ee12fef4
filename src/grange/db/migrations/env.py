"""What Alembic runs for each upgrade and downgrade, inside the caller's transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData

from grange.db.base import NAMING

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    # No tables: revisions stand on their own. The names of constraints follow the one rule.
    target_metadata=MetaData(naming_convention=NAMING),
    # SQLite can alter next to nothing in place; a batch copies the table instead.
    render_as_batch=True,
    # SQLite undoes changes of tables too, once the driver doesn't commit before them.
    transactional_ddl=connection.dialect.name != "mysql",
)
with context.begin_transaction():
    context.run_migrations()
