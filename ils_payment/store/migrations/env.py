"""How alembic runs here: always with a connection that ``upgrade`` hands over."""

from alembic import context

from ils_payment.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
