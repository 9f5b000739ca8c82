"""`python -m tests.chaos --minutes 5 --seed 7`: a cloud under fire, and whether it kept its word.

Ends with status 0 when every invariant held, else with 1: the state directory is kept then, and named.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

# Before gRPC is there: in a process that begins others it would look after forks, and at times end them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import uvloop

from tests.chaos.run import Run
from tests.postgres import binaries

_GUEST_IMAGE = Path(__file__).resolve().parents[2] / ".cache" / "guest" / "weft-tiny.qcow2"


def main() -> int:
    """Run as the arguments say; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long it lasts, calm points aside")
    parser.add_argument("--seed", type=int, help="what a run before this one printed, to have it again")
    parser.add_argument("--hosts", type=int, default=4, help="simulated hosts")
    parser.add_argument("--real", type=int, help="hosts whose guests QEMU runs; one where that is possible")
    parser.add_argument("--people", type=int, default=6)
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    real = int(_can_be_real()) if arguments.real is None else arguments.real
    print(
        f"seed {seed}: {arguments.minutes:g} minutes, {arguments.hosts} simulated hosts, {real} real",
        flush=True,
    )
    if binaries() is None:
        sys.exit("PostgreSQL is not installed: make env-test")
    state = Path(tempfile.mkdtemp(prefix="wc-"))
    state.chmod(0o755)
    run = Run(
        state, seed, arguments.minutes * 60, arguments.hosts, real, arguments.people, _image(state, real)
    )
    began = time.monotonic()
    broken = uvloop.run(run.whole())
    print(f"\nseed {seed}, {time.monotonic() - began:.0f} s in all")
    print("\n".join(run.figures.lines()))
    print("\n".join([f"BROKEN {len(broken)}:", *broken]) if broken else "every invariant held")
    if broken:
        print(f"everything is kept in {state}")
        return 1
    run.cloud.purge()
    return 0


def _can_be_real() -> bool:
    return os.geteuid() == 0 and _GUEST_IMAGE.exists()


def _image(state: Path, real: int) -> Path:
    """What servers boot from; guests that are nowhere need no more than something to upload."""
    if real:
        return _GUEST_IMAGE
    image = state / "empty.raw"
    image.write_bytes(bytes(1 << 20))
    return image


if __name__ == "__main__":
    sys.exit(main())
