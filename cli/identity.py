"""Logging in and out, and who one is."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Cloud, Clouds, Session

if TYPE_CHECKING:
    from weft.identity.v1 import resources_pb2
    from weft.identity.v1 import token_service_pb2 as pb


@click.command()
@click.option("--user", envvar="WEFT_USER", help="Your name.  [env: WEFT_USER]")
@click.option("--domain", envvar="WEFT_DOMAIN", default="Default", show_default=True, help="Your domain.")
@click.option("--system", is_flag=True, help="For the whole system, which administrators need.")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False), help="Read the password here.")
@click.option("--application-credential", metavar="ID", help="Log in as a program, by this and its secret.")
@click.pass_obj
def login(
    session: Session,
    user: str | None,
    domain: str,
    system: bool,
    password_file: str | None,
    application_credential: str | None,
) -> None:
    """Log in to a cloud, and keep the token for the commands to come.

    The password is asked for, or taken from WEFT_PASSWORD or a file; so is the one-time code of who has a
    second factor, or taken from WEFT_TOTP_CODE. The secret of an application credential is taken for the
    password. `weft --endpoint ... --ca ... login` names a cloud once; it is remembered as --cloud NAME, or
    `default`.
    """
    cloud = session.resolved()
    if application_credential:
        asking = _program(session, application_credential, _password(password_file, "Secret"))
    else:
        user = user or click.prompt("User", default=cloud.user or None, err=True)
        asking = _token(session, user, domain, _password(password_file), system)
    answer = asyncio.run(asking)
    user = answer.info.user_name
    clouds = Clouds.read()
    clouds.current = session.cloud or clouds.current
    kept = replace(
        cloud, ca=str(Path(cloud.ca).absolute()), token=answer.token, user=user,
        project=answer.info.project_name, expires_at=answer.info.expires_at.ToJsonString(),
    )  # fmt: skip
    clouds.clouds[clouds.current] = kept
    clouds.write()
    what = f"project {kept.project}" if kept.project else f"scope {answer.info.scope}"
    click.echo(f"Logged in to {kept.endpoint} as {user}, {what}, until {kept.expires_at}.", err=True)


def _password(file: str | None, prompt: str = "Password") -> str:
    if file:
        return Path(file).read_text().strip()
    return os.environ.get("WEFT_PASSWORD") or click.prompt(prompt, hide_input=True, err=True)


async def _program(session: Session, id: str, secret: str) -> "pb.CreateTokenResponse":
    from weft.identity.v1 import token_service_pb2 as pb
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    credential = pb.ApplicationCredentialSecret(id=id, secret=secret)
    async with session.client(anonymous=True) as client:
        request = pb.CreateTokenRequest(application_credential=credential)
        return await client.stub(TokenServiceStub).CreateToken(request)


async def _token(
    session: Session, user: str, domain: str, password: str, system: bool
) -> "pb.CreateTokenResponse":
    from cli.scopes import scope
    from mesh.errors import CloudError
    from weft.identity.v1 import token_service_pb2 as pb
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    credential = pb.PasswordCredential(user_name=user, domain_name=domain, password=password)
    request = pb.CreateTokenRequest(password=credential)
    if session.project or system:
        request.scope.CopyFrom(scope(project=session.project, domain=domain, system=system))
    async with session.client(anonymous=True) as client:
        tokens = client.stub(TokenServiceStub)
        try:
            return await tokens.CreateToken(request)
        except CloudError as error:
            if error.reason != "SECOND_FACTOR_REQUIRED":
                raise
            request.receipt.receipt = error.metadata["receipt"]
        request.totp_code = await asyncio.to_thread(_code)
        return await tokens.CreateToken(request)


def _code() -> str:
    return os.environ.get("WEFT_TOTP_CODE") or click.prompt("One-time code", err=True)


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
