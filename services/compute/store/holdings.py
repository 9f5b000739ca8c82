"""Which volumes servers list, and what is known of servers that are not there any more."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Text, cast, select

from services.compute.store.servers import change, find
from services.compute.tables import operations, servers


def listing(connection: Connection, attachment_ids: Collection[str]) -> dict[str, str]:
    """The servers that list these attachments, by attachment."""
    wanted = set(attachment_ids)
    some = cast(servers.c.volumes, Text) != "[]"
    return {
        volume["attachment_id"]: row.id
        for row in connection.execute(select(servers.c.id, servers.c.volumes).where(some))
        for volume in row.volumes
        if volume["attachment_id"] in wanted
    }


def unlist(connection: Connection, server: Row[Any], attachment_ids: Collection[str]) -> bool:
    """Take attachments off a server's list, unless it has changed since it was read; whether it was done."""
    row = find(connection, server.id, lock=True)
    if row is None or row.revision != server.revision:
        return False
    left = [volume for volume in row.volumes if volume["attachment_id"] not in attachment_ids]
    change(connection, row.id, {"volumes": left})
    return True


def by_id(connection: Connection, ids: Collection[str]) -> dict[str, Row[Any]]:
    """Those of these servers that are there."""
    return {row.id: row for row in connection.execute(select(servers).where(servers.c.id.in_(ids)))}


def deleted(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of these servers whose deletion is in the journal, and has succeeded."""
    done = (operations.c.kind == "server.delete", operations.c.state == "SUCCEEDED")
    query = select(operations.c.target_id).where(*done, operations.c.target_id.in_(ids))
    return set(connection.scalars(query))
