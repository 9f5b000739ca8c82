"""Logging out, and who one is."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from cli.session import Cloud, Clouds, Session

if TYPE_CHECKING:
    from weft.identity.v1 import resources_pb2


@click.command()
@click.pass_obj
def logout(session: Session) -> None:
    """Make the kept token worthless everywhere, and forget it."""
    from mesh.errors import CloudError

    try:
        asyncio.run(_revoke(session))
    except CloudError as error:
        if error.code.name != "UNAUTHENTICATED":  # it was worthless before
            raise
    clouds = Clouds.read()
    name = session.cloud or clouds.current
    clouds.clouds[name] = replace(clouds.clouds.get(name, Cloud()), token="", expires_at="")
    clouds.write()


async def _revoke(session: Session) -> None:
    from weft.identity.v1 import token_service_pb2 as pb
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    async with session.client() as client:
        await client.stub(TokenServiceStub).RevokeToken(pb.RevokeTokenRequest())


@click.command()
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml", "id"]), default="table")
@click.pass_obj
def whoami(session: Session, output: str) -> None:
    """Show who the token says that you are, and what it is good for."""
    from cli import show

    show.one(asyncio.run(token_info(session)), output)


async def token_info(session: Session) -> "resources_pb2.TokenInfo":
    """What the token says."""
    from weft.identity.v1 import token_service_pb2 as pb
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    async with session.client() as client:
        return await client.stub(TokenServiceStub).GetToken(pb.GetTokenRequest())
