"""Replays: a mutation sent again with the same request_id answers what the first one did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.shared_key import Seal
from mesh.tables import requests

KEPT = timedelta(hours=24)
_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
seal = Seal()
_TAKEN_BACK = b"taken back"
M = TypeVar("M", bound=Message)


def once(
    connection: Connection, caller: Caller, request: Any, response_type: type[M], do: Callable[[], M]
) -> M:
    """Answer `do()`, or what it answered when this caller sent this request before.

    All in the caller's unit of work: a `do` that raises leaves no trace and may be sent again. Without a
    request_id it is just `do()`. Raises REQUEST_ID_REUSED when the rest of the request differs.
    """
    if not request.request_id:
        return do()
    key = _key(caller, request)
    insert = _INSERT[connection.dialect.name](requests).on_conflict_do_nothing()
    row = insert.values(**key, digest=_digest(request), response=b"", created_at=clock.now())
    # By what it returns: psycopg does not tell how many rows an INSERT made.
    if connection.execute(row.returning(requests.c.request_id)).first() is not None:
        response = do()
        stored = update(requests).where(*_is(key)).values(response=response.SerializeToString())
        connection.execute(stored)
        return response
    # On PostgreSQL the insert has waited for the first one's transaction, so its answer is there.
    return _before(connection.execute(select(requests).where(*_is(key))).one(), request, response_type)


def take_back(connection: Connection, caller: Caller, request_type: type[Message], request_id: str) -> None:
    """Refuse a request of this caller's that has not come yet: what undoes it was faster on its way.

    One that is at work is waited for; one that was answered stays as it is, for whoever calls this to undo.
    """
    key = {**_whose(caller), "method": request_type.DESCRIPTOR.full_name, "request_id": request_id}
    insert = _INSERT[connection.dialect.name](requests).on_conflict_do_nothing()
    connection.execute(insert.values(**key, digest=_TAKEN_BACK, response=b"", created_at=clock.now()))


def answered(connection: Connection, caller: Caller, request: Any, response_type: type[M]) -> M | None:
    """What this request was answered before, None when it was not: for calls that ask others before their
    unit of work, and would now be told something else. Raises REQUEST_ID_REUSED like `once`.
    """
    if not request.request_id:
        return None
    row = connection.execute(select(requests).where(*_is(_key(caller, request)))).one_or_none()
    return None if row is None else _before(row, request, response_type)


def _key(caller: Caller, request: Any) -> dict[str, str]:
    return {
        **_whose(caller),
        "method": request.DESCRIPTOR.full_name,
        "request_id": request.request_id,
    }


def _whose(caller: Caller) -> dict[str, str]:
    return {"caller": f"{caller.service}:{caller.project_id or caller.user_id}"}


def _digest(request: Message) -> bytes:
    """By a key, as requests hold passwords: without it nobody can try guesses on a copy of the database."""
    return seal.of(request.SerializeToString(deterministic=True))


def _before(row: Row[Any], request: Any, response_type: type[M]) -> M:
    if row.digest == _TAKEN_BACK:
        raise CloudError("CANCELLED", "The request was taken back before it came.", operation_id="")
    if row.digest != _digest(request):
        message = f"The request_id {request.request_id} was used for a different request: make a new one."
        raise CloudError("REQUEST_ID_REUSED", message, request_id=request.request_id)
    return response_type.FromString(row.response)


def _is(key: dict[str, str]) -> list[Any]:
    return [requests.c[name] == value for name, value in key.items()]


def forget(connection: Connection) -> int:
    """Delete what is older than 24 hours; how many there were."""
    return connection.execute(delete(requests).where(requests.c.created_at < clock.now() - KEPT)).rowcount
