"""Logging in: by password, one-time code, application credential or client certificate."""

import asyncio
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Cloud, Clouds, Session

if TYPE_CHECKING:
    from mesh.certificates import Pair
    from weft.identity.v1 import token_service_pb2 as pb

_file = click.Path(exists=True, dir_okay=False)


@dataclass(frozen=True)
class _Certificate:
    """A certificate of one's own, to be shown to the edge; its key may be in the same file."""

    file: str
    key_file: str

    def pair(self) -> "Pair":
        """As connections want it."""
        from mesh.certificates import Pair

        key = Path(self.key_file or self.file).read_bytes()
        return Pair(key, Path(self.file).read_bytes(), math.inf)


@click.command()
@click.option("--user", envvar="WEFT_USER", help="Your name.  [env: WEFT_USER]")
@click.option("--domain", envvar="WEFT_DOMAIN", default="Default", show_default=True, help="Your domain.")
@click.option("--system", is_flag=True, help="For the whole system, which administrators need.")
@click.option("--password-file", type=_file, help="Read the password here.")
@click.option("--totp-code", envvar="WEFT_TOTP_CODE", default="", help="A one-time code of your device.")
@click.option("--application-credential", metavar="ID", help="Log in as a program, by this and its secret.")
@click.option("--certificate", type=_file, help="Log in by this client certificate (PEM).")
@click.option("--key", type=_file, help="The certificate's key (PEM), where that is in another file.")
@click.option("--provider", metavar="NAME", help="The identity provider that the certificate is for.")
@click.pass_obj
def login(
    session: Session,
    user: str | None,
    domain: str,
    system: bool,
    password_file: str | None,
    totp_code: str,
    application_credential: str | None,
    certificate: str | None,
    key: str | None,
    provider: str | None,
) -> None:
    """Log in to a cloud, and keep the token for the commands to come.

    The password is asked for, or taken from WEFT_PASSWORD or a file; so is the one-time code of who has a
    second factor, or taken from WEFT_TOTP_CODE. The secret of an application credential is taken for the
    password. `weft --endpoint ... --ca ... login` names a cloud once; it is remembered as --cloud NAME, or
    `default`.
    """
    from weft.identity.v1 import token_service_pb2 as pb

    if bool(certificate) != bool(provider) or (key and not certificate):
        raise click.UsageError("--certificate goes with --provider, and --key with them")
    cloud, shown = session.resolved(), None
    request = pb.CreateTokenRequest(totp_code=totp_code)
    if application_credential:
        request.application_credential.id = application_credential
        request.application_credential.secret = _password(password_file, "Secret")
    elif certificate:
        shown = _Certificate(certificate, key or "")
        request.client_certificate.provider = provider or ""
    else:
        user = user or click.prompt("User", default=cloud.user or None, err=True)
        given = {"user_name": user, "domain_name": domain, "password": _password(password_file)}
        request.password.CopyFrom(pb.PasswordCredential(**given))
    if (session.project or system) and not application_credential:
        from cli.scopes import scope

        request.scope.CopyFrom(scope(project=session.project, domain=domain, system=system))
    _keep(session, cloud, asyncio.run(_token(session, request, shown)))


def _keep(session: Session, cloud: Cloud, answer: "pb.CreateTokenResponse") -> None:
    clouds, info = Clouds.read(), answer.info
    clouds.current = session.cloud or clouds.current
    kept = replace(
        cloud, ca=str(Path(cloud.ca).absolute()), token=answer.token, user=info.user_name,
        project=info.project_name, expires_at=info.expires_at.ToJsonString(),
    )  # fmt: skip
    clouds.clouds[clouds.current] = kept
    clouds.write()
    what = f"project {kept.project}" if kept.project else f"scope {info.scope}"
    click.echo(f"Logged in to {kept.endpoint} as {kept.user}, {what}, until {kept.expires_at}.", err=True)


def _password(file: str | None, prompt: str = "Password") -> str:
    if file:
        return Path(file).read_text().strip()
    return os.environ.get("WEFT_PASSWORD") or click.prompt(prompt, hide_input=True, err=True)


async def _token(
    session: Session, request: "pb.CreateTokenRequest", shown: _Certificate | None
) -> "pb.CreateTokenResponse":
    """Log in, and ask for the one-time code when that is all that lacks."""
    from mesh.errors import CloudError
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    async with session.client(anonymous=True, shown=shown) as client:
        tokens = client.stub(TokenServiceStub)
        try:
            return await tokens.CreateToken(request)
        except CloudError as error:
            if error.reason != "SECOND_FACTOR_REQUIRED":
                raise
            request.receipt.receipt = error.metadata["receipt"]
        request.totp_code = await asyncio.to_thread(click.prompt, "One-time code", err=True)
        return await tokens.CreateToken(request)
