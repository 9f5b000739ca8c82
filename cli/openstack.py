"""What OpenStack's clients need to find this cloud: `weft openrc` and `weft clouds.yaml`."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from cli.session import Cloud, Session

_ASK = """if [ -z "${OS_PASSWORD:-}" ]; then
  printf 'Password of %s: ' "$OS_USERNAME" >&2
  read -rs OS_PASSWORD && echo >&2
fi
export OS_PASSWORD"""


def _options(command: Callable[..., None]) -> click.Command:
    command = click.pass_obj(command)
    for option in reversed(
        (
            click.option("--user", envvar="WEFT_USER", help="Who logs in; default: who you are."),
            click.option(
                "--domain", default="Default", show_default=True, help="Their and the project's domain."
            ),
            click.option("--with-token", is_flag=True, help="Say the token that login kept: it is a secret."),
            click.option(
                "--password-file",
                type=click.Path(exists=True, dir_okay=False),
                help="Say the password in it.",
            ),
        )
    ):
        command = option(command)
    return click.command()(command)


@_options
def openrc(
    session: Session, user: str | None, domain: str, with_token: bool, password_file: str | None
) -> None:
    """Print variables for a shell: `. <(weft openrc)`, then `openstack server list`.

    The password is asked for when the lines are read, unless it or a token is said in them.
    """
    auth = _auth(session, user, domain, with_token, password_file)
    lines = {"OS_IDENTITY_API_VERSION": "3", "OS_CACERT": _ca(session)}
    lines |= {f"OS_{name.upper()}": value for name, value in auth.items()}
    if with_token:
        lines["OS_AUTH_TYPE"] = "v3token"
    for name, value in lines.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    if not (with_token or password_file):
        click.echo(_ASK)


@_options
def clouds_yaml(
    session: Session, user: str | None, domain: str, with_token: bool, password_file: str | None
) -> None:
    """Print a clouds.yaml: `weft clouds.yaml > clouds.yaml`, then `openstack --os-cloud weft server list`.

    Without a password in it, clients take OS_PASSWORD, or a secure.yaml beside it.
    """
    said: dict[str, Any] = {"auth": _auth(session, user, domain, with_token, password_file)}
    said |= {"identity_api_version": "3", "cacert": _ca(session)}
    if with_token:
        said["auth_type"] = "v3token"
    document = {"clouds": {session.cloud or "weft": said}}
    click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


def _auth(
    session: Session, user: str | None, domain: str, with_token: bool, password_file: str | None
) -> dict[str, str]:
    cloud = session.resolved()
    auth = {"auth_url": f"https://{cloud.endpoint}/identity"}
    if with_token:
        auth["token"] = _kept(cloud)
    else:
        auth |= {"username": _user(cloud, user), "user_domain_name": domain}
    if password_file:
        auth["password"] = Path(password_file).read_text().strip()
    if project := session.project or cloud.project:
        auth |= {"project_name": project, "project_domain_name": domain}
    return auth


def _kept(cloud: Cloud) -> str:
    if not cloud.token:
        raise click.UsageError("there is no token to say: `weft login` keeps one")
    return cloud.token


def _user(cloud: Cloud, user: str | None) -> str:
    if not (user or cloud.user):
        raise click.UsageError("say who logs in: --user, or `weft login` first")
    return user or cloud.user


def _ca(session: Session) -> str:
    return str(Path(session.resolved().ca).absolute())
