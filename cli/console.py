"""`weft server console`: what a server wrote to its serial console."""

import asyncio

import click

from cli.contract import contracts
from cli.session import Session


@click.command()
@click.argument("server")
@click.option(
    "--lines", type=click.IntRange(1), default=50, show_default=True, help="How many of the last lines."
)
@click.option("--all", "everything", is_flag=True, help="All that is kept.")
@click.option("--follow", is_flag=True, help="Go on with what it writes from now on.")
@click.pass_obj
def console(session: Session, server: str, lines: int, everything: bool, follow: bool) -> None:
    """Print the end of a server's console log, by its name or id."""
    asyncio.run(_console(session, server, 0 if everything else lines, follow))


async def _console(session: Session, server: str, lines: int, follow: bool) -> None:
    from cli.resolve import find
    from weft.compute.v1 import server_service_pb2 as pb
    from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

    async with session.client() as client:
        id = await find(client, contracts(), "server", server)
        stub = client.stub(ServerServiceStub)
        log = await stub.GetConsoleOutput(pb.GetConsoleOutputRequest(id=id, lines=lines))
        click.echo(log.output, nl=not log.output.endswith("\n"))
        if follow:
            async for more in stub.FollowConsole(pb.FollowConsoleRequest(id=id, offset=log.size_bytes)):
                click.echo(more.output, nl=False)
