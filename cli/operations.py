"""`weft operation`: long-running work of every package."""

import asyncio
from typing import Any

import click

from cli import follow, show
from cli.session import Session
from mesh.channel import Client
from mesh.errors import CloudError
from weft.operation.v1 import operation_pb2 as pb

_STATES = [name.removeprefix("OPERATION_STATE_") for name in pb.OperationState.keys()][1:]  # noqa: SIM118


@click.group()
def operation() -> None:
    """Commands on long-running work: boots, attachments, deletions."""


@operation.command("list")
@click.option("--target", metavar="ID", default="", help="Only those on this resource, by its id.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES, case_sensitive=False))
@click.option("--kind", default="", help="Only those of this kind, e.g. server.boot.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.output
@show.columns
@click.pass_obj
def list_(session: Session, output: str, columns: str | None, **asked: Any) -> None:
    """List operations of every package, newest first."""
    found = asyncio.run(_list(session, **asked))
    show.many(found, output, columns or "id,kind,target_type,target_id,state,created_at")


async def _list(
    session: Session, target: str, states: tuple[str, ...], kind: str, limit: int
) -> list[pb.Operation]:
    request = pb.ListOperationsRequest(
        target_id=target, kind=kind, page_size=limit,
        states=[pb.OperationState.Value(f"OPERATION_STATE_{state.upper()}") for state in states],
    )  # fmt: skip
    async with session.client() as client:
        found = [each for package in follow.PACKAGES for each in await _of(client, package, request)]
    return sorted(found, key=lambda one: one.created_at.ToNanoseconds(), reverse=True)[:limit]


async def _of(client: Client, package: str, request: pb.ListOperationsRequest) -> list[pb.Operation]:
    """What a package answers; nothing where it has nothing for a token of this scope."""
    try:
        return list((await follow.stub(client, package).ListOperations(request)).operations)
    except CloudError as error:
        if error.reason not in follow.ELSEWHERE:
            raise
        return []


@operation.command("show")
@click.argument("id")
@show.output
@show.columns
@click.pass_obj
def show_(session: Session, id: str, output: str, columns: str | None) -> None:
    """Show one operation with its steps."""

    async def get() -> pb.Operation:
        async with session.client() as client:
            return (await follow.find(client, id))[1]

    show.one(asyncio.run(get()), output, columns)


@operation.command()
@click.argument("id")
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up after so long.")
@click.pass_obj
def watch(session: Session, id: str, timeout: float | None) -> None:
    """Follow an operation to its end; fails if it fails."""

    async def to_end() -> None:
        async with session.client() as client:
            package, _ = await follow.find(client, id)
            await follow.to_end(client, package, id, timeout)

    asyncio.run(to_end())


@operation.command()
@click.argument("id")
@show.output
@show.columns
@click.pass_obj
def cancel(session: Session, id: str, output: str, columns: str | None) -> None:
    """Stop an operation and undo what it did."""

    async def ask() -> pb.Operation:
        async with session.client() as client:
            package, _ = await follow.find(client, id)
            return await follow.stub(client, package).CancelOperation(pb.CancelOperationRequest(id=id))

    show.one(asyncio.run(ask()), output, columns)
