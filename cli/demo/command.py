"""`weft demo`: a cloud of its own, the story in it, and the end of both."""

import asyncio
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import failures
from cli.cloud.layout import DEFAULT_PORT, Layout

if TYPE_CHECKING:
    from cli.demo.stage import Stage


_IMAGE = Path(".cache/guest/weft-tiny.qcow2")


_KEEP = "Leave the cloud and the servers running, and say how to use them."
_STATE = "Where the cloud keeps everything: a new directory, deleted at the end; one in /var/tmp by default."
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--keep", is_flag=True, help=_KEEP)
@click.option("--state", type=click.Path(path_type=Path), help=_STATE)
@click.option(
    "--image", type=_FILE, default=_IMAGE, show_default=True, help="The guest image (`make image`)."
)
@click.option("--port", type=int, help="The gateway's port; 7800, or a free one, by default.")
def demo(keep: bool, state: Path | None, image: Path, port: int | None) -> None:
    """Start a cloud, boot real servers in it as an ordinary user, prove that all works, and delete all.

    Half by REST, half by gRPC, through one port. Exit status 1 if anything is not as it must be, also if
    anything is left behind at the end.
    """
    if not image.is_file():
        failures.fail(f"{image}: there is no such guest image: `make image` builds it, --image names another")
    if state is not None and state.exists():
        failures.fail(f"{state} exists: a demonstration begins with an empty cloud; name a new directory")
    state = state.absolute() if state else Path(tempfile.mkdtemp(prefix="weft-demo-", dir="/var/tmp"))
    sys.exit(_play(Layout(state, port=port or free_port()), image.resolve(), keep=keep))


def _play(layout: Layout, image: Path, *, keep: bool) -> int:
    from cli.cloud.down import stop
    from cli.demo.leftovers import after_the_end
    from cli.demo.stage import Stage

    stage = Stage()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it takes the cloud down too
    stage.chapter(f"A cloud starts in {layout.state}")
    told = _told(layout, stage, image, keep=keep)
    if keep:
        return 0 if told else failures.FAILED
    stage.chapter("The cloud ends")
    with stage.step("processes, namespaces and files are removed"):
        stop(layout, purge=True)
    left = after_the_end(layout)
    for thing in left:
        click.secho(f"  ✗ left behind: {thing}", fg="red")
    if told and not left:
        click.secho(f"\n{stage.proofs} proofs, and nothing is left behind.", fg="green", bold=True)
        return 0
    click.secho("\nThe demonstration failed.", fg="red", bold=True)
    return failures.FAILED


def _told(layout: Layout, stage: "Stage", image: Path, *, keep: bool) -> bool:
    """Whether the story came to its end; what went wrong is told, with the last words of every process."""
    from cli.cloud.processes import parts
    from cli.cloud.up import start
    from cli.demo.stage import Failed
    from cli.demo.story import tell
    from mesh.errors import CloudError

    try:
        start(layout, say=click.echo)
        asyncio.run(tell(layout, stage, image, keep=keep))
    except (Failed, CloudError, SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, CloudError):
            failures.tell(error)
        elif not isinstance(error, SystemExit):  # which has told why
            click.secho(f"\n✗ {str(error) or 'interrupted'}", fg="red", bold=True, err=True)
    except Exception:  # noqa: BLE001 - a defect: said whole, and the cloud is taken down all the same
        traceback.print_exc()
    else:
        return True
    for part in parts(layout):
        click.echo(f"--- {part.log}\n{part.last_words(12)}", err=True)
    return False


def free_port() -> int:
    """The usual port, or the first from 17800 on that is free with its neighbours."""
    from cli.cloud.up import port_taken

    for port in (DEFAULT_PORT, *range(17800, 27800, 10)):
        if not any(map(port_taken, Layout(Path(), port=port).ports)):
            return port
    raise click.UsageError("no free port was found: name one by --port")
