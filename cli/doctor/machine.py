"""Room, limits, ports and the clock."""

import os
import resource
import shutil
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cli.cloud.layout import Layout
from cli.cloud.processes import parts
from cli.cloud.up import port_taken
from cli.doctor.finding import Finding

_DISK_GIB, _MEMORY_MIB, _FILES = 3, 1024, 4096


def look(state: Path) -> Iterator[Finding]:
    """What a cloud in this state directory needs."""
    yield _ports(state)
    yield _disk(state)
    yield _memory()
    yield _open_files()
    yield _clock()


def _ports(state: Path) -> Finding:
    layout = Layout.read(state) or Layout(state)
    if any(part.pid for part in parts(layout)):
        return Finding("ports", f"a cloud of {state} listens on {layout.endpoint}")
    taken = [str(port) for port in layout.ports if port_taken(port)]
    if taken:
        return Finding("ports", f"in use: {', '.join(taken)}", "weft up --port N, with another N")
    return Finding("ports", f"{', '.join(map(str, layout.ports))} are free")


def _disk(state: Path) -> Finding:
    there = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**30
    mend = "" if free >= _DISK_GIB else f"free {_DISK_GIB} GiB, or weft up --state in another place"
    return Finding("disk", f"{free:.1f} GiB free in {there}", mend)


def _memory() -> Finding:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) // 1024
    mend = "" if free >= _MEMORY_MIB else f"a machine with {_MEMORY_MIB} MiB free: a guest needs 128 and more"
    return Finding("memory", f"{free} MiB free, {os.cpu_count()} processors", mend)


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    mend = "" if soft >= _FILES else f"ulimit -n {_FILES}"
    return Finding("open files", f"{soft} of {hard} a process", mend)


def _clock() -> Finding:
    """Certificates hold for days and tokens for an hour: by a clock far off all of them are worthless."""
    found = find_spec("weft.errors.v1.reason_pb2")
    assert found is not None
    assert found.origin is not None
    made = Path(found.origin).stat().st_mtime
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < made:
        return Finding("clock", f"{now} is before this weft was installed", "date --set, or an NTP client")
    return Finding("clock", now)
