"""Names where the contracts want ids: looked up by the resource's own List."""

import re
from typing import Any

import click
from google.protobuf.message import Message

from cli import calls, nouns
from cli.contract import Contracts, Field, Verb
from mesh.channel import Client
from mesh.errors import not_found

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# By what people name things: a list's filter, and the field of the item that must be equal.
_NAMED = ("name", "name_prefix", "address")


async def resolve(client: Client, verb: Verb, values: dict[str, Any]) -> None:
    """Put ids for names, everywhere in the values of a request. Raises NOT_FOUND, click.UsageError."""
    creates = verb.name == "create"
    fields = [field for field in verb.fields if not (creates and field.name == "id")]
    await _within(client, verb.contracts, fields, values, verb.resource)


async def _within(
    client: Client, contracts: Contracts, fields: list[Field], values: dict[str, Any], own: str
) -> None:
    for field in fields:
        given = values.get(field.name)
        if field.kind == "message" and given:
            for inner in given if isinstance(given, list) else [given]:
                await _within(client, contracts, list(contracts.fields(field.message)), inner, own)
        elif given and field.kind == "text" and (resource := _resource(contracts, field, own)):
            if isinstance(given, list):
                values[field.name] = [await find(client, contracts, resource, name) for name in given]
            else:
                values[field.name] = await find(client, contracts, resource, given)


def _resource(contracts: Contracts, field: Field, own: str) -> str:
    """The resource that a field names by id; empty for none that can be looked up."""
    stem = re.sub(r"_?ids?$", "", field.name)
    if stem == field.name:
        return ""
    resource = own if stem in ("", "parent") else nouns.referred(stem, contracts.verbs, own)
    return resource if "list" in contracts.verbs.get(resource, {}) else ""


async def find(client: Client, contracts: Contracts, resource: str, name: str) -> str:
    """The id of the one resource that has this name, or id."""
    if _UUID.fullmatch(name):
        return name
    verb = contracts.verbs[resource]["list"]
    filters = {field.name for field in verb.fields}
    asked = {key: name for key in _NAMED[:1] if key in filters} or {
        key: name for key in _NAMED[1:] if key in filters
    }
    items: list[Any] = await calls.every(client, verb, asked)
    found = [item.id for item in items if name in _names(item)]
    if not found:
        raise not_found(resource.replace("-", " "), name)
    if len(found) > 1:
        raise click.UsageError(
            f"{len(found)} of {resource} are called {name}; give an id: {', '.join(found)}"
        )
    return found[0]


def _names(item: Message) -> set[str]:
    return {getattr(item, key) for key in ("name", "address") if key in item.DESCRIPTOR.fields_by_name}
