"""`weft trace`: what a request did, through every process."""

import asyncio
import re
from typing import Any

import click

from cli import calls, follow, show, waterfall
from cli.contract import contracts
from cli.session import Session
from mesh.channel import Client
from mesh.errors import CloudError, not_found
from weft.telemetry.v1 import resources_pb2 as pb

_TRACE = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@click.group()
def trace() -> None:
    """See what a request did, span by span, from the gateway to the hypervisor."""


@trace.command("list")
@click.option("--resource", metavar="ID", help="Only those about this resource, by its id.")
@click.option("--operation", metavar="ID", help="Only those of this operation.")
@click.option("--operations", is_flag=True, help="Only those of long-running work.")
@click.option("--errors", is_flag=True, help="Only those with errors.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@show.output
@show.columns
@click.pass_obj
def list_(session: Session, output: str, columns: str | None, limit: int, **asked: Any) -> None:
    """List traces, newest first."""
    values = {
        "resource_id": asked["resource"], "operation_id": asked["operation"],
        "operations_only": asked["operations"], "errors_only": asked["errors"],
    }  # fmt: skip
    found = asyncio.run(_list(session, {key: value for key, value in values.items() if value}, limit))
    show.many(found, output, columns or "trace_id,name,started_at,duration,spans,errors,operation_kind")


async def _list(session: Session, values: dict[str, Any], limit: int) -> list[Any]:
    async with session.client() as client:
        return [item async for item in calls.pages(client, contracts().verbs["trace"]["list"], values, limit)]


@trace.command("show")
@click.argument("what")
@click.option("-o", "--output", type=click.Choice(["waterfall", "json", "yaml"]), default="waterfall")
@click.pass_obj
def show_(session: Session, what: str, output: str) -> None:
    """Draw the trace of a server (its latest work), an operation, or a trace id as a waterfall."""

    async def get() -> pb.Trace:
        async with session.client() as client:
            return await find(client, what)

    found = asyncio.run(get())
    if output == "waterfall":
        tell(found)
    else:
        show.one(found, output)


async def find(client: Client, what: str) -> pb.Trace:
    """The trace of a trace id, an operation's id, or a resource's id; else of the server of that name."""
    trace_id = what if _TRACE.fullmatch(what) else await _trace_id(client, what)
    answer: Any = await calls.call(client, contracts().verbs["trace"]["show"], {"trace_id": trace_id})
    return answer


async def _trace_id(client: Client, what: str) -> str:
    if not _UUID.fullmatch(what):
        from cli.resolve import find as by_name

        what = await by_name(client, contracts(), "server", what)
    else:
        try:
            return (await follow.find(client, what))[1].trace_id
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
    verb = contracts().verbs["trace"]["list"]
    for asked in ({"operations_only": True}, {}):
        async for item in calls.pages(client, verb, {"resource_id": what, **asked}, 1):
            return item.trace_id  # type: ignore[attr-defined]
    raise not_found("trace of", what)


def tell(found: pb.Trace) -> None:
    """Print a trace as a waterfall."""
    lines = waterfall.draw(found.spans)
    services = sorted({line.service for line in lines})
    colour = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(services)}
    wide = min(72, max((2 * line.depth + len(line.name) for line in lines), default=0))
    for line in lines:
        click.echo(_row(line, wide, colour[line.service]))
    missing = waterfall.orphans(found.spans)
    summary = found.summary
    click.echo(
        f"trace {summary.trace_id}: {len(lines)} spans of {len(services)} processes "
        f"({', '.join(services)}), {summary.errors} with errors, "
        f"{waterfall.lasted(waterfall.milliseconds(summary.duration))}"
        + (f"; {len(missing)} spans' causes were not recorded" if missing else "")
    )


def _row(line: waterfall.Line, wide: int, colour: str) -> str:
    mark = click.style("✗ ", fg="red") if line.failed else ""
    name = "  " * line.depth + line.name
    name = (name if len(name) <= wide else name[: wide - 1] + "…").ljust(wide - (2 if line.failed else 0))
    bar = click.style(line.bar, fg="red" if line.failed else colour)
    error = f"  {click.style(line.error, fg='red')}" if line.error else ""
    return f"{mark}{name} {line.service:<10} {bar} {waterfall.lasted(line.took):>9}{error}"
