"""Answers as people and programs want them: a table, JSON, YAML, or ids alone."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from google.protobuf import json_format
from google.protobuf.message import Message

from cli import nouns

# Said first, and what a list leaves out unless it is asked for by --columns.
_FIRST = ("id", "name", "status", "type")
_LEFT_OUT = {
    "project_id", "description", "created_at", "updated_at", "revision", "status_reason", "operation_id",
    "tags", "metadata", "extra_specs", "user_id",
    "host_fingerprint", "type_uri", "event_type", "observer", "request_path",
}  # fmt: skip
_WIDEST = 7
_PIPED = 1000

output = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "id"]), default="table", show_default=True,
    help="How to show the answer.",
)  # fmt: skip
columns = click.option("--columns", metavar="A,B,...", help="Which columns a table has.")


def plain(message: Message) -> dict[str, Any]:
    """A message as plain values, enums without their prefix, numbers as numbers."""
    values = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _tidy(values, message.DESCRIPTOR)


def _tidy(values: dict[str, Any], descriptor: Any) -> dict[str, Any]:
    """64-bit numbers come as text and enums with their prefix, which only programs want."""
    for field in descriptor.fields:
        if field.name not in values:
            continue
        given = values[field.name]
        if field.type == field.TYPE_ENUM:
            prefix = nouns.enum_prefix(field.enum_type.name)
            values[field.name] = _each(given, lambda text, p=prefix: _unprefixed(text, p))
        elif field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
            values[field.name] = _each(given, int)
        elif field.message_type and isinstance(given, dict | list) and not _special(field):
            values[field.name] = _each(given, lambda inner, d=field.message_type: _tidy(inner, d))
    return values


def _unprefixed(text: str, prefix: str) -> str:
    rest = text.removeprefix(prefix)
    return "" if rest == "UNSPECIFIED" else rest


def _special(field: Any) -> bool:
    return field.message_type.GetOptions().map_entry or field.message_type.full_name.startswith("google.")


def _each(given: Any, change: Any) -> Any:
    return [change(item) for item in given] if isinstance(given, list) else change(given)


def one(message: Message, how: str, wanted: str | None = None) -> None:
    """Print one resource."""
    values = plain(message)
    if how == "table":
        names = _split(wanted) or [name for name, value in values.items() if value not in ("", [], {}, None)]
        _print_table(["field", "value"], [[name, _cell(values.get(name))] for name in names])
    else:
        _print(values, how)


def many(messages: Sequence[Message], how: str, wanted: str | None = None) -> None:
    """Print a list of resources."""
    rows = [plain(message) for message in messages]
    if how != "table":
        _print(rows, how)
        return
    names = _split(wanted) or _columns(rows)
    if names:
        _print_table(names, [[_cell(row.get(name)) for name in names] for row in rows])
    click.echo(f"{len(rows)} in all" if rows else "none", err=True)


def _split(wanted: str | None) -> list[str]:
    return [name.strip().replace("-", "_") for name in (wanted or "").split(",") if name.strip()]


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Names worth a column: plain ones with something in them."""
    there = {name for row in rows for name, value in row.items() if value not in ("", [], {}, None, False)}
    plain = [
        name
        for name in (rows[0] if rows else {})
        if name in there and not any(_nested(row.get(name)) for row in rows)
    ]
    first = [name for name in _FIRST if name in plain]
    rest = [name for name in plain if name not in first and name not in _LEFT_OUT]
    return (first + rest)[:_WIDEST]


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={_cell(inner)}" for key, inner in value.items() if inner not in ("", [], {}))
    return "" if value is None else str(value)


def _print(values: Any, how: str) -> None:
    if how == "json":
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    elif how == "yaml":
        import yaml

        click.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), nl=False)
    else:
        for item in values if isinstance(values, list) else [values]:
            click.echo(item.get("id") or item.get("name") or "")


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*row)
    # What is piped on is read by programs, which do not want it cut to a terminal's width.
    width = None if sys.stdout.isatty() else _PIPED
    Console(highlight=False, markup=False, width=width).print(table)
