"""Calls by the contract: any RPC with a request made from plain values."""

import importlib
from collections.abc import AsyncIterator
from typing import Any

import click
from google.protobuf import json_format
from google.protobuf.message import Message

from cli.contract import Verb
from mesh import contract, ids
from mesh.channel import Client

PAGE = 500


def request(verb: Verb, values: dict[str, Any]) -> Message:
    """The request of a verb from values in protobuf's JSON form. Mutations get a request_id.

    Raises click.UsageError on a value that the field cannot hold.
    """
    importlib.import_module(verb.module)
    found = contract.method(verb.path)
    message = found.request_type()
    try:
        json_format.ParseDict(values, message)
    except json_format.ParseError as error:
        raise click.UsageError(str(error)) from error
    if found.has_request_id and not message.request_id:  # type: ignore[attr-defined]
        message.request_id = ids.new()  # type: ignore[attr-defined]
    return message


def stub(client: Client, verb: Verb) -> Any:
    """The RPC as a callable."""
    stub_class = getattr(importlib.import_module(verb.module), f"{verb.service}Stub")
    return getattr(client.stub(stub_class), verb.rpc)


async def call(client: Client, verb: Verb, values: dict[str, Any], timeout: float | None = None) -> Message:
    """The answer. Raises CloudError."""
    return await stub(client, verb)(request(verb, values), timeout=timeout)


async def pages(
    client: Client, verb: Verb, values: dict[str, Any], limit: int = 0, timeout: float | None = None
) -> AsyncIterator[Message]:
    """The items of every page, at most `limit` of them (0: all)."""
    message: Any = request(verb, values)
    left = limit
    while True:
        message.page_size = min(left, PAGE) if limit else PAGE
        answer = await stub(client, verb)(message, timeout=timeout)
        for item in getattr(answer, verb.items):
            yield item
            left -= 1
            if limit and not left:
                return
        if not answer.next_page_token:
            return
        message.page_token = answer.next_page_token


async def every(client: Client, verb: Verb, values: dict[str, Any]) -> list[Message]:
    """All items as a list."""
    return [item async for item in pages(client, verb, values)]
