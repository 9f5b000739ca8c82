"""The command: `python -m benchmarks [--full] [--only NAME]`, and `python -m benchmarks compare A B`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import uvloop

from benchmarks import machine, page, report, suite
from benchmarks.compare import compare

KEPT = Path(".cache/benchmarks")


@click.group(invoke_without_command=True)
@click.option("--full", is_flag=True, help="Many more samples; minutes instead of seconds each.")
@click.option("--only", multiple=True, type=click.Choice(suite.NAMES), help="This one; may be repeated.")
@click.pass_context
def main(ctx: click.Context, full: bool, only: tuple[str, ...]) -> None:
    """Measure weft on this machine, as root. Figures are printed, and kept in .cache/benchmarks."""
    if ctx.invoked_subcommand is not None:
        return
    if os.geteuid() != 0:
        raise click.ClickException("hosts make network namespaces: run it as root")
    moment = datetime.now(UTC)
    record = report.Record(KEPT / f"{moment:%Y%m%dT%H%M%SZ}.jsonl", full)
    before = machine.load()
    names = [name for name in suite.NAMES if name in only] or suite.NAMES
    figures, failed = uvloop.run(suite.run(names, full, record))
    report.table(figures, sys.stdout)
    click.echo(f"\nload average {before} before, {machine.load()} after, on {os.cpu_count()} processors")
    click.echo(f"kept in {record.file}")
    if failed:
        raise click.ClickException(f"not to their end, for the reasons told above: {', '.join(failed)}")


@main.command("compare")
@click.argument("first", metavar="A", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", metavar="B", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def compare_(first: Path, second: Path) -> None:
    """Show the ratios B / A of two runs, each a file in .cache/benchmarks."""
    compare(first, second, sys.stdout)


@main.command("page")
def page_() -> None:
    """Write docs/figures.md of the runs in benchmarks/kept."""
    page.PAGE.write_text(page.page())


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
