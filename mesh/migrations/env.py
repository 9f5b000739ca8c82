"""Alembic's environment, shared by every service: the connection and the tables come from mesh.migrate."""

from alembic import context

from mesh import tables


def include(name: str | None, kind: str, parents: object) -> bool:
    """Leave the mesh's own tables to `mesh.tables.create`."""
    return kind != "table" or name not in tables.NAMES


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    include_name=include,
    include_object=lambda thing, name, kind, reflected, compare_to: include(name, kind, {}),
    user_module_prefix="columns.",
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
