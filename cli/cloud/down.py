"""`weft down`: stops what `weft up` started."""

import shutil
import signal
import time
from pathlib import Path

import click

from cli import failures
from cli.cloud import spaces
from cli.cloud.layout import DEFAULT_STATE, Layout
from cli.cloud.processes import end, parts

_PATIENCE = 10.0


@click.command()
@click.option("--state", type=click.Path(path_type=Path), default=DEFAULT_STATE, show_default=True)
@click.option(
    "--purge", is_flag=True, help="Also end all guests, and delete everything that the cloud keeps."
)
def down(state: Path, purge: bool) -> None:
    """Stop the cloud that `weft up` started, by its process ids.

    Guests go on, with their hosts' namespaces, and the next `weft up` finds them again. With --purge guests
    end, the namespaces go, and the state directory is deleted.
    """
    layout = Layout.read(state.absolute())
    if layout is None:
        failures.fail(f"there is no cloud in {state}", failures.MISSING)
        return
    stop(layout, purge=purge)
    if not purge and (guests := guests_left(layout)):
        click.echo(
            f"{guests} processes of hosts go on (guests, their hypervisor): --purge ends them", err=True
        )


def stop(layout: Layout, *, purge: bool) -> None:
    """Stop every process; without guests left, or with `purge`, remove the namespaces too."""
    for part in reversed(parts(layout)):
        part.stop()
    if purge:
        _end_hosts(layout)
    if purge or not guests_left(layout):
        _end_hosts(layout)
        spaces.remove(layout)
    if purge:
        shutil.rmtree(layout.state)


def guests_left(layout: Layout) -> int:
    """How many guests' processes there still are in the hosts' namespaces."""
    return sum(_is_guest(pid) for pid in _in_hosts(layout))


def _is_guest(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith(("qemu-system", "qemu-kvm"))
    except (FileNotFoundError, ProcessLookupError):
        return False


def _in_hosts(layout: Layout) -> list[int]:
    """The processes of the namespaces that we made; nothing else is in them."""
    return [pid for space in spaces.there(layout) for pid in spaces.processes(space)]


def _end_hosts(layout: Layout) -> None:
    """End what agents leave running on purpose: guests, libvirtd, exports of volumes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = _in_hosts(layout)
        until = time.monotonic() + _PATIENCE
        for pid in left:
            end(pid, number, 0)
        while left and time.monotonic() < until and (left := _in_hosts(layout)):
            time.sleep(0.1)
