"""Replays: a mutation sent again with the same request_id answers what the first one did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mesh import clock
from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.prepared import Prepared
from mesh.shared_key import Seal
from mesh.tables import requests

KEPT = timedelta(hours=24)
seal = Seal()
_TAKEN_BACK = b"taken back"
M = TypeVar("M", bound=Message)
_THIS = [column == bindparam(column.key) for column in requests.primary_key]
_FIND = Prepared(select(requests).where(*_THIS))
_ANSWER = Prepared(update(requests).where(*_THIS).values(response=bindparam("answer")))
_TAKE = {
    name: Prepared(
        insert(requests).on_conflict_do_nothing().returning(requests.c.request_id), *requests.c.keys()
    )
    for name, insert in {"sqlite": sqlite.insert, "postgresql": postgresql.insert}.items()
}


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
    row = {**key, "digest": _digest(request), "response": b"", "created_at": clock.now()}
    # By what it returns: psycopg does not tell how many rows an INSERT made.
    if _TAKE[connection.dialect.name].one(connection, **row) is not None:
        response = do()
        _ANSWER.run(connection, **key, answer=response.SerializeToString())
        return response
    # On PostgreSQL the insert has waited for the first one's transaction, so its answer is there.
    before = _FIND.one(connection, **key)
    assert before is not None
    return _before(before, request, response_type)


def take_back(connection: Connection, caller: Caller, request_type: type[Message], request_id: str) -> None:
    """Refuse a request of this caller's that has not come yet: what undoes it was faster on its way.

    One that is at work is waited for; one that was answered stays as it is, for whoever calls this to undo.
    """
    key = {**_whose(caller), "method": request_type.DESCRIPTOR.full_name, "request_id": request_id}
    row = {**key, "digest": _TAKEN_BACK, "response": b"", "created_at": clock.now()}
    _TAKE[connection.dialect.name].one(connection, **row)


def answered(connection: Connection, caller: Caller, request: Any, response_type: type[M]) -> M | None:
    """What this request was answered before, None when it was not: for calls that ask others before their
    unit of work, and would now be told something else. Raises REQUEST_ID_REUSED like `once`.
    """
    if not request.request_id:
        return None
    row = _FIND.one(connection, **_key(caller, request))
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


def forget(connection: Connection) -> int:
    """Delete what is older than 24 hours; how many there were."""
    return connection.execute(delete(requests).where(requests.c.created_at < clock.now() - KEPT)).rowcount
