"""One command for each RPC of the contracts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import click

from cli import nouns
from cli.contract import Verb, contracts
from cli.session import Session
from cli.slots import Slot, parameter, slots

_RUNS_LONG = "operation_id"


def group(resource: str, extra: dict[str, click.Command] | None = None) -> click.Group:
    """`weft <resource>`: its verbs, and `extra` ones that no single RPC makes."""
    made: dict[str, click.Command] = {
        name: command(verb) for name, verb in contracts().verbs.get(resource, {}).items()
    }
    made |= extra or {}
    words = resource.replace("-", " ")
    return click.Group(resource, commands=made, help=f"Commands on {nouns.plural(words)}.")


def command(verb: Verb) -> click.Command:
    """The command of an RPC."""
    found = slots(verb)
    required = {field.name for field in verb.fields if field.required}
    parameters = [parameter(slot, required=_must(slot, required)) for slot in found]
    return click.Command(
        verb.name,
        params=[*parameters, *_common(verb)],
        help=verb.help,
        short_help=verb.help.partition(". ")[0].rstrip("."),
        callback=_callback(verb, found),
    )


def _must(slot: Slot, required: set[str]) -> bool:
    """What a command is about is never left out; an option only where the contract wants the field."""
    if slot.argument:
        return slot.path[0] in required or slot.path[0] == "id"
    return len(slot.path) == 1 and slot.path[0] in required and slot.field.kind != "message"


def _common(verb: Verb) -> list[click.Parameter]:
    """Options that every command of a kind has."""
    from cli import show

    def options(*decorators: Callable[..., Any]) -> list[click.Parameter]:
        holder: Any = lambda: None  # noqa: E731 - click's decorators leave their options on a function
        for decorate in decorators:
            decorate(holder)
        return list(reversed(holder.__click_params__))

    timeout = click.option(
        "--timeout", type=float, metavar="SECONDS",
        help="Give up after so long; for --wait, and for the call itself (default 30 s).",
    )  # fmt: skip
    found = options(show.output, show.columns, timeout)
    if verb.items:
        found += options(
            click.option("--limit", type=click.IntRange(1), help="At most so many; all by default.")
        )
    if _long(verb):
        wait = click.option("--wait", is_flag=True, help="Follow the work to its end; fail if it fails.")
        found += options(wait)
    return found


def _long(verb: Verb) -> bool:
    if verb.idempotent or not verb.output.startswith(".weft."):
        return False
    return _RUNS_LONG in {field.name for field in verb.contracts.fields(verb.output)}


def _callback(verb: Verb, found: list[Slot]) -> Callable[..., None]:
    @click.pass_obj
    def run(session: Session, /, **given: Any) -> None:
        values = _request_values(verb, found, given)
        work: Callable[..., Coroutine[Any, Any, None]] = _answer
        if verb.gives_stream:
            work = _stream
        elif verb.items:
            work = _list
        asyncio.run(work(session, verb, values, given))

    return run


def _request_values(verb: Verb, found: list[Slot], given: dict[str, Any]) -> dict[str, Any]:
    """The request in protobuf's JSON form, with names still where ids will be."""
    from cli.values import value

    values: dict[str, Any] = {}
    changed: list[str] = []
    for slot in found:
        said = given.get(slot.name)
        if said is None or said == ():
            continue
        inner = values
        for name in slot.path[:-1]:
            inner = inner.setdefault(name, {})
        inner[slot.path[-1]] = value(verb.contracts, slot.field, said)
        if len(slot.path) > 1:
            changed.append(slot.path[-1])
    if "update_mask" in {field.name for field in verb.fields}:
        if not changed:
            raise click.UsageError("say what to change: see --help for the options")
        values["update_mask"] = ",".join(_camel(name) for name in changed)
    return values


def _camel(name: str) -> str:
    """Paths of a mask in protobuf's JSON form."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


async def _answer(session: Session, verb: Verb, values: dict[str, Any], given: dict[str, Any]) -> None:
    from cli import calls, follow, show
    from cli.resolve import resolve
    from mesh.errors import CloudError

    async with session.client() as client:
        await resolve(client, verb, values)
        answer: Any = await calls.call(client, verb, values, given["timeout"])
        if given.get("wait") and answer.operation_id and not values.get("validate_only"):
            package = verb.package.split(".")[1]
            await follow.to_end(client, package, answer.operation_id, given["timeout"])
            shown = contracts().verbs[verb.resource]["show"]
            try:
                answer = await calls.call(client, shown, {"id": answer.id})
            except CloudError as error:
                if error.reason != "NOT_FOUND":
                    raise
                return  # it went by what was waited for
        if answer.DESCRIPTOR.full_name != "google.protobuf.Empty":
            show.one(answer, given["output"], given["columns"])


async def _list(session: Session, verb: Verb, values: dict[str, Any], given: dict[str, Any]) -> None:
    from cli import calls, show
    from cli.resolve import resolve

    async with session.client() as client:
        await resolve(client, verb, values)
        pages = calls.pages(client, verb, values, given["limit"] or 0, given["timeout"])
        show.many([item async for item in pages], given["output"], given["columns"])


async def _stream(session: Session, verb: Verb, values: dict[str, Any], given: dict[str, Any]) -> None:
    """Each answer on a line of its own, as JSON, until interrupted."""
    import json

    from cli import calls, show

    async with session.client() as client:
        message = calls.request(verb, values)
        async for answer in calls.stub(client, verb)(message, timeout=given["timeout"]):
            click.echo(json.dumps(show.plain(answer), ensure_ascii=False))
