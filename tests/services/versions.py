"""Rows whose messages are kept by their revision: none may change with the revision left as it is."""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, text


def guard(connection: Connection, table: Table, unseen: Iterable[str] = ()) -> None:
    """From here on SQLite itself refuses such a change, but of the columns that no message shows."""
    if connection.dialect.name != "sqlite":
        return
    seen = [
        f'OLD."{column.name}" IS NOT NEW."{column.name}"' for column in table.c if column.name not in unseen
    ]
    connection.execute(
        text(
            f"CREATE TRIGGER IF NOT EXISTS {table.name}_keep_their_revision BEFORE UPDATE ON {table.name} "
            f"WHEN NEW.revision <= OLD.revision AND ({' OR '.join(seen)}) "
            "BEGIN SELECT RAISE(ABORT, 'a change that is seen left the revision as it was'); END"
        )
    )
