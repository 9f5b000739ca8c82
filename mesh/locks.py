"""Locks by name: two units that count rows and then add one must not both count before either adds."""

from sqlalchemy import Connection, func, select


def hold(connection: Connection, name: str) -> None:
    """Nobody else holds `name` in this database until the unit is committed or undone.

    Names are shared by all services of a PostgreSQL database: begin them with the service's. SQLite has one
    writer at a time, which is lock enough.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
