"""Pages of a list: keyset paging with signed tokens bound to the list, its filter and the caller."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, or_, tuple_
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import desc_op

from mesh.caller import Caller
from mesh.errors import CloudError
from mesh.shared_key import Seal

DEFAULT_SIZE = 100
MAXIMUM_SIZE = 1000
_SIGNATURE_BYTES = 16
seal = Seal()


def page(
    connection: Connection,
    query: Select[Any],
    order: Sequence[ColumnElement[Any]],
    request: Any,
    caller: Caller,
    filter_parts: Sequence[object] = (),
) -> tuple[list[Row[Any]], str]:
    """One page of `query`, and the token of the next ("" on the last).

    `order` are columns that the query selects (or `column.desc()`), none of them NULL, the last one unique.
    The token is bound to every other field of the request, to `filter_parts` and to the caller. Raises
    PAGE_TOKEN_INVALID for a token that is not ours or was made for another list.
    """
    size = min(request.page_size or DEFAULT_SIZE, MAXIMUM_SIZE)
    binding = _binding(request, caller, filter_parts)
    if request.page_token:
        query = query.where(_after(order, _open(request.page_token, binding, len(order))))
    rows = list(connection.execute(query.order_by(*order).limit(size + 1)))
    if len(rows) <= size:
        return rows, ""
    last = rows[size - 1]._mapping
    return rows[:size], _seal([last[column_of(item)] for item in order], binding)


def column_of(item: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column that a part of an order sorts by."""
    return item.element if isinstance(item, UnaryExpression) else item


def _after(order: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after `values` in the order.

    Compared as a whole where all columns go the same way, as a database then begins in the midst of an index
    and not at the first row of the list; else equal in the first columns, beyond in the next.
    """
    columns = [column_of(item) for item in order]
    ways = {_descends(item) for item in order}
    if len(ways) == 1:
        typed = [bindparam(None, value, column.type) for column, value in zip(columns, values, strict=True)]
        return tuple_(*columns) < tuple_(*typed) if ways == {True} else tuple_(*columns) > tuple_(*typed)
    beyond = []
    for position, (column, item) in enumerate(zip(columns, order, strict=True)):
        further = column < values[position] if _descends(item) else column > values[position]
        equal = [columns[i] == values[i] for i in range(position)]
        beyond.append(and_(*equal, further))
    return or_(*beyond)


def _descends(item: ColumnElement[Any]) -> bool:
    return isinstance(item, UnaryExpression) and item.modifier is desc_op


def _binding(request: Message, caller: Caller, filter_parts: Sequence[object]) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("page_token")
    bare.ClearField("page_size")
    owner = (caller.user_id, caller.project_id, caller.scope, caller.service)
    parts = (
        request.DESCRIPTOR.full_name,
        bare.SerializeToString(deterministic=True),
        owner,
        repr(filter_parts),
    )
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


def _sign(body: bytes, binding: bytes) -> bytes:
    return seal.of(binding + body)[:_SIGNATURE_BYTES]


def _seal(values: Sequence[Any], binding: bytes) -> str:
    body = msgspec.msgpack.encode(values)
    return base64.urlsafe_b64encode(_sign(body, binding) + body).decode()


def _open(token: str, binding: bytes, count: int) -> list[Any]:
    wrong = CloudError("PAGE_TOKEN_INVALID", "The page_token is not for this list: begin again without one.")
    try:
        raw = base64.urlsafe_b64decode(token.encode())
    except ValueError as error:
        raise wrong from error
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(body, binding)):
        raise wrong
    values = msgspec.msgpack.decode(body)
    if len(values) != count:
        raise wrong
    return values
