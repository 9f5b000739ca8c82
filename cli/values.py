"""Words of the command line as values of a contract's fields, in protobuf's JSON form."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import click

from cli import nouns
from cli.contract import Contracts, Field

_UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def value(contracts: Contracts, field: Field, given: Any) -> Any:
    """What was given for a field, several times where it is repeated. Raises click.UsageError."""
    if field.kind == "map":
        return dict(_pair(text, field) for text in given)
    if field.repeated:
        return [_one(contracts, field, item) for item in given]
    return _one(contracts, field, given)


def _one(contracts: Contracts, field: Field, given: Any) -> Any:
    if field.kind == "message":
        return _message(contracts, field, given)
    if field.kind == "enum":
        return nouns.enum_prefix(field.message.rpartition(".")[2]) + given.upper()
    if field.kind == "bytes":
        return base64.b64encode(_content(given)).decode()
    if field.kind == "duration":
        return _duration(given)
    if field.kind == "text" and given.startswith("@"):
        return given[1:] if given.startswith("@@") else _content(given).decode().strip()
    return given


def _content(text: str) -> bytes:
    """The bytes of the file after an @, or the text itself."""
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).expanduser().read_bytes()
    except OSError as error:
        raise click.UsageError(f"{text[1:]} cannot be read: {error.strerror}") from error


def _duration(text: str) -> str:
    found = re.fullmatch(r"([0-9.]+)\s*([a-z]*)", text)
    if not found or found[2] not in _UNITS:
        raise click.UsageError(f"{text!r} is no duration: say 90s, 5m or 1h")
    return f"{float(found[1]) * _UNITS[found[2]]:.6f}s"


def _pair(text: str, field: Field) -> tuple[str, str]:
    key, equals, rest = text.partition("=")
    if not equals:
        raise click.UsageError(f"--{nouns.dashed(field.name)} {text!r}: expected KEY=VALUE")
    return key, rest


def _message(contracts: Contracts, field: Field, text: str) -> dict[str, Any]:
    """JSON, or `key=value,key=value`, or one word for the id that the message is about."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise click.UsageError(f"--{nouns.dashed(field.name)}: is not JSON: {error}") from error
    fields = {inner.name: inner for inner in contracts.fields(field.message)}
    if "=" not in text:
        return {_about(field, fields): text}
    return dict(_inner(contracts, field, fields, part) for part in text.split(","))


def _inner(contracts: Contracts, field: Field, fields: dict[str, Field], part: str) -> tuple[str, Any]:
    key, given = _pair(part, field)
    name = key.replace("-", "_")
    found = fields.get(name) or fields.get(name + "_id")
    if found is None:
        raise click.UsageError(f"--{nouns.dashed(field.name)}: there is no {key}; it has {', '.join(fields)}")
    if found.kind in ("bool", "int", "float"):
        kinds = {"bool": click.BOOL, "int": click.INT, "float": click.FLOAT}
        return found.name, kinds[found.kind].convert(given, None, None)
    return found.name, value(contracts, found, [given] if found.repeated else given)


def _about(field: Field, fields: dict[str, Field]) -> str:
    ids = [name for name in fields if name.endswith("_id")]
    own = nouns.singular(field.name) + "_id"
    if not ids:
        raise click.UsageError(f"--{nouns.dashed(field.name)}: expected KEY=VALUE of {', '.join(fields)}")
    return own if own in ids else ids[0]
