"""Bodies and queries of Placement, checked against their schemas."""

import uuid
from collections.abc import Mapping
from typing import Any

import jsonschema
import orjson

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal, takes_json
from gateway.openstack.placement.schemas import Schema

_JSON = "application/json"
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("uuid")
def is_uuid(value: object) -> bool:
    """With dashes or without, as Placement takes them."""
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


async def body(call: Call, schema: Schema) -> Any:
    """The body. Raises Refusal: 415 for what says to be no JSON, 400 for what is none or another document."""
    kind = call.request.headers.get("content-type")
    if kind is None and call.request.headers.get("content-length", "0") != "0":
        raise Refusal(400, "content-type header required")
    if kind is None or kind.partition(";")[0].strip().lower() != _JSON:
        raise Refusal(415, f"The media type {kind} is not supported, use {_JSON}.")
    try:
        document = await call.json()
    except Refusal as refusal:
        raise Refusal(refusal.status, f"Malformed JSON: {refusal.message}") from refusal
    _check(document, schema, "JSON does not validate")
    return document


def query(call: Call, schema: Schema) -> Mapping[str, str]:
    """The last value of each parameter of the query. Raises Refusal."""
    _check(dict(call.query), schema, "Invalid query string parameters")
    return call.query


def checked(value: Any, schema: Schema) -> None:
    """Raises Refusal where a part of the path is not as it must be."""
    _check(value, schema, "JSON does not validate")


def _check(document: Any, schema: Schema, words: str) -> None:
    try:
        jsonschema.Draft202012Validator(dict(schema), format_checker=_FORMATS).validate(document)
    except jsonschema.ValidationError as error:
        raise Refusal(400, f"{words}: {error}") from error


def accept(call: Call) -> None:
    """Raises Refusal (406) where the client takes no JSON."""
    if not takes_json(call.request.headers.get("accept", "")):
        raise Refusal(406, f"Only {_JSON} is provided.")


def canonical(id: str) -> str:
    """A UUID with dashes."""
    return str(uuid.UUID(id))


def dumps(document: Any) -> bytes:
    """A document of an answer."""
    return orjson.dumps(document)
