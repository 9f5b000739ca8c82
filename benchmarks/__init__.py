"""How fast and how large weft is, measured on the real thing: `python -m benchmarks`.

A benchmark is a module with `async def run(bench)`; it tells `bench` its figures, which are printed and kept
as JSON lines, with the machine and the versions that they hold for. No test asserts them by a clock.
"""

import os

# The processes that are begun here use no connection of ours: gRPC need not prepare for that, or speak of it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
