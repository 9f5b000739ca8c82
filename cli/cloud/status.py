"""`weft status`: what runs of the cloud on this machine."""

import asyncio
import sys
from pathlib import Path

import click

from cli import failures
from cli.cloud import spaces
from cli.cloud.down import guests_left
from cli.cloud.layout import DEFAULT_STATE, Layout
from cli.cloud.processes import Process, parts


@click.command()
@click.option("--state", type=click.Path(path_type=Path), default=DEFAULT_STATE, show_default=True)
def status(state: Path) -> None:
    """Show processes, services and hosts, and whether each is well. Exit status 1 if any is not."""
    layout = Layout.read(state.absolute())
    if layout is None:
        failures.fail(f"there is no cloud in {state}: `weft up` makes one", failures.MISSING)
        return
    running = [_process(part) for part in parts(layout)]
    well = all(running) and asyncio.run(_services(layout))
    click.echo(f"namespaces: {', '.join(spaces.there(layout)) or 'none'}")
    click.echo(f"guests: {guests_left(layout)}")
    click.echo(f"endpoint: https://{layout.endpoint}  CA: {layout.ca}")
    sys.exit(0 if well else failures.FAILED)


def _process(part: Process) -> bool:
    pid = part.pid
    _line(part.name, "" if pid else f"not running; its log is {part.log}", f"pid {pid}  {part.log}")
    return pid is not None


async def _services(layout: Layout) -> bool:
    from cli.cloud import health

    answers = [*await health.services(layout), await health.gateway(layout), *await health.hosts(layout)]
    for answer in answers:
        _line(answer.name, answer.why, "well")
    return not any(answer.why for answer in answers)


def _line(name: str, why: str, well: str) -> None:
    mark = click.style("✗", fg="red") if why else click.style("✓", fg="green")
    click.echo(f"{mark} {name:<10} {why or well}")
