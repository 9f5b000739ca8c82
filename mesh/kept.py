"""Long lists: each message of a row made once a revision, and kept as bytes.

A page of a thousand is then four columns of a thousand rows and their messages' bytes, instead of a thousand
rows in full and as many messages made field by field.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, select

from mesh import paging
from mesh.caller import Caller
from mesh.prepared import Prepared

# What is kept of one list, and what an entry takes beside its bytes (a tuple, an id, a time, a place).
_MOST, _BESIDE = 16 << 20, 400
# A resource that was deleted and made again with the same id differs in the second.
_Version = tuple[int, datetime]


class Kept:
    """The messages of one table's rows, whose `revision` changes with everything that is in them.

    `make` makes the messages of rows in full, in their order, and may read more by the connection.
    """

    def __init__(
        self, table: Table, make: Callable[[Connection, list[Row[Any]]], Iterable[Message]], most: int = _MOST
    ) -> None:
        self._table, self._make, self._left = table, make, most
        self._full = Prepared(select(table).where(table.c.id.in_(bindparam("ids", expanding=True))))
        self._known: dict[str, tuple[_Version, bytes]] = {}  # the oldest first
        self._lock = threading.Lock()  # many threads read

    def page(
        self,
        connection: Connection,
        query: Select[Any],
        order: Sequence[ColumnElement[Any]],
        request: Any,
        caller: Caller,
    ) -> tuple[list[bytes], str]:
        """`paging.page` of a query of the table, as serialized messages."""
        columns = self._table.c
        needed = dict.fromkeys(
            [columns.id, columns.revision, columns.updated_at, *map(paging.column_of, order)]
        )
        rows, token = paging.page(connection, query.with_only_columns(*needed), order, request, caller)
        return self._messages(connection, rows), token

    def _messages(self, connection: Connection, rows: Iterable[Row[Any]]) -> list[bytes]:
        versions = {row[0]: (row[1], row[2]) for row in rows}
        with self._lock:
            known = {id: self._known.get(id) for id in versions}
        found = {id: had[1] for id, had in known.items() if had is not None and had[0] == versions[id]}
        if missing := [id for id in versions if id not in found]:
            full = self._full.all(connection, ids=missing)
            made = [message.SerializeToString() for message in self._make(connection, full)]
            found |= {row.id: content for row, content in zip(full, made, strict=True)}
            self._keep({id: (versions[id], found[id]) for id in missing})
        return [found[id] for id in versions]

    def _keep(self, fresh: dict[str, tuple[_Version, bytes]]) -> None:
        with self._lock:
            for id, entry in fresh.items():
                self._forget(id)
                self._known[id] = entry
                self._left -= len(entry[1]) + _BESIDE
            while self._left < 0:
                self._forget(next(iter(self._known)))

    def _forget(self, id: str) -> None:
        if (entry := self._known.pop(id, None)) is not None:
            self._left += len(entry[1]) + _BESIDE


def put(into: Any, messages: Iterable[bytes]) -> None:
    """Add serialized messages to a repeated field."""
    add = into.add
    for content in messages:
        add().MergeFromString(content)
