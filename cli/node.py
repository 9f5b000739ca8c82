"""`weft node join`: a machine becomes a host."""

import asyncio
import os
import sys
from pathlib import Path

import click

from cli import failures


@click.group()
def node() -> None:
    """Make this machine a host of a cloud."""


@node.command()
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="Read the token here.")
@click.option(
    "--state", type=click.Path(path_type=Path), help="The host's state; [node] of the settings says."
)
@click.option("--config", type=click.Path(exists=True, dir_okay=False), help="The settings file.")
def join(token_file: str | None, state: Path | None, config: str | None) -> None:
    """Get this host's certificate, once, with a join token.

    An administrator makes the token with `weft join-token create`; it is read from --token-file,
    WEFT_JOIN_TOKEN or the standard input. `weft serve node` is the host from then on, and keeps the
    certificate current. A host that was revoked joins again with a new token for its id.
    """
    from mesh import joining, settings

    text = (
        Path(token_file).read_text() if token_file else os.environ.get("WEFT_JOIN_TOKEN") or sys.stdin.read()
    )
    try:
        token = joining.JoinToken.read(text)
    except ValueError as error:
        failures.fail(str(error))
    state = state or Path(settings.load(Path(config) if config else None).node.state)
    host_id = asyncio.run(joining.join(state, token))
    click.echo(f"This machine is host {host_id} of the cloud at {token.address}.", err=True)
