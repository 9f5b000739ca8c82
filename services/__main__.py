"""The control process: every service on one event loop, or those named: `python -m services compute`.

Each keeps a server, a database and a certificate of its own and calls the others over gRPC, as it would
from another machine.
"""

import argparse
from importlib import import_module

from mesh import server
from mesh.server import Part, part_of

# In the order that they are started: each needs only those before it to be useful.
SERVICES = ("telemetry", "identity", "image", "placement", "network", "block", "compute")


def parts(names: tuple[str, ...] | list[str]) -> list[Part]:
    """The named services, ready to be run."""
    return [part_of(name, import_module(f"services.{name}.__main__").build) for name in names]


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m services", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="SERVICE", help=f"all by default: {', '.join(SERVICES)}")
    names = parser.parse_args().names or SERVICES
    if unknown := sorted(set(names) - set(SERVICES)):
        parser.error(f"there is no service {unknown[0]}")
    server.run(lambda settings: server.serve_parts(settings, parts(names)))


if __name__ == "__main__":
    main()
