"""The control plane: every service, or those named: `python -m services compute`.

Each keeps a server, a database and a certificate of its own and calls the others over gRPC, as it would
from another machine; those that are named share one process and its event loop. All of them are two processes
where there is more than one processor.
"""

import argparse
import os
from functools import partial
from importlib import import_module

from mesh import server
from mesh.process import Work, run_several
from mesh.server import Part, part_of
from mesh.settings import Settings

# In the order that they are started: each needs only those before it to be useful.
SERVICES = ("telemetry", "identity", "image", "placement", "network", "block", "compute")
# Of the processor's time that a boot takes, each has about half.
HALVES = {
    "control-1": ("telemetry", "compute"),
    "control-2": ("identity", "image", "placement", "network", "block"),
}


def parts(names: tuple[str, ...] | list[str]) -> list[Part]:
    """The named services, ready to be run."""
    return [part_of(name, import_module(f"services.{name}.__main__").build) for name in names]


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m services", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="SERVICE", help=f"all by default: {', '.join(SERVICES)}")
    names = tuple(parser.parse_args().names)
    if unknown := sorted(set(names) - set(SERVICES)):
        parser.error(f"there is no service {unknown[0]}")
    run_several(partial(_works, names))


def _works(names: tuple[str, ...], settings: Settings) -> dict[str, Work]:
    """What each process is to run; all of it is imported here, before there are several."""
    processes = settings.cloud.processes or min(2, len(os.sched_getaffinity(0)))
    split = HALVES if not names and processes == 2 else {"control": names or SERVICES}
    return {name: partial(server.serve_parts, parts=parts(group)) for name, group in split.items()}


if __name__ == "__main__":
    main()
