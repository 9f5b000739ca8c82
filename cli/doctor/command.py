"""`weft doctor`: the looks, one after the other, told."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cli import failures
from cli.cloud.layout import DEFAULT_STATE
from cli.doctor.finding import Finding


@click.command()
@click.option("--state", type=click.Path(path_type=Path), default=DEFAULT_STATE, show_default=True)
def doctor(state: Path) -> None:
    """Say what is missing on this machine to run a cloud, and the command that mends each.

    Exit status 1 when something must be mended; what is only worth knowing does not count.
    """
    findings = list(_told(state.absolute()))
    faults = [finding for finding in findings if not finding.well and not finding.hint]
    if faults:
        click.echo(f"\n{len(faults)} to mend")
        sys.exit(failures.FAILED)
    click.echo("\nAll that is needed is here: weft up")


def _told(state: Path) -> Iterator[Finding]:
    from cli.doctor import kernel, machine, programs

    for look in (programs.look, kernel.look, lambda: machine.look(state)):
        for finding in look():
            _tell(finding)
            yield finding


def _tell(finding: Finding) -> None:
    mark, colour = ("✓", "green") if finding.well else ("·", "yellow") if finding.hint else ("✗", "red")
    click.echo(f"{click.style(mark, fg=colour)} {finding.name:<11} {finding.found}")
    if finding.mend:
        click.echo(f"              mend: {finding.mend}")
