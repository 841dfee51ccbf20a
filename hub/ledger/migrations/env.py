"""Alembic's way in: hub/ledger/database.py hands over an open connection, in a transaction."""

from alembic import context

from hub.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
