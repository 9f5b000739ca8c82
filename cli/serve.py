"""`weft serve`: one part of a cloud as this process."""

import os
import sys

import click

from mesh.settings import PORTS

_PARTS = ("control", "gateway", "node", *PORTS)


def command(part: str) -> list[str]:
    """What runs a part of the cloud."""
    if part in ("gateway", "node"):
        return [sys.executable, "-m", part]
    return [sys.executable, "-m", "services", *([] if part == "control" else [part])]


@click.command()
@click.argument("part", type=click.Choice(_PARTS))
@click.option("--config", type=click.Path(exists=True, dir_okay=False), help="The settings file.")
def serve(part: str, config: str | None) -> None:
    """Run one part of a cloud in the foreground until it is told to stop.

    `control` is every service in one process; a service's name is that one alone, as many times as there
    are replicas. Settings come from --config, WEFT_CONFIG or /etc/weft/weft.toml, and the environment.
    """
    if config:
        os.environ["WEFT_CONFIG"] = os.path.abspath(config)
    words = command(part)
    os.execv(words[0], words)
