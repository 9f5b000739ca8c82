"""The boot as one trace: from the HTTP request to the hypervisor, without a gap."""

import asyncio

from cli import traces, waterfall
from cli.demo.cast import Cast
from cli.demo.stage import Failed
from mesh.errors import CloudError
from weft.telemetry.v1 import resources_pb2 as pb

# Everybody who takes part in a boot with a volume.
_PROCESSES = {"gateway", "identity", "compute", "placement", "network", "block", "image", "node"}
# Spans are sent within half a second; the gateway's come by another way.
_PATIENCE = 15.0


async def boot(cast: Cast) -> None:
    """Draw the first server's boot, and prove that the trace is whole."""
    found = await _whole(cast)
    traces.tell(found)
    cast.stage.proof("processes that are not in the trace", sorted(_missing(found)), [])
    cast.stage.proof("spans whose cause is not in it", [s.name for s in waterfall.orphans(found.spans)], [])
    roots = [span.name for span in found.spans if not span.parent_span_id]
    cast.stage.proof("it begins with the HTTP request", roots, ["POST /compute/v1/servers"])
    calls = [span.name for span in found.spans if span.name.startswith("libvirt")]
    cast.stage.proof("it ends in libvirt", "libvirt start" in calls, True)


async def _whole(cast: Cast) -> pb.Trace:
    """The trace, once all have sent their spans; as far as it is there when they do not."""
    found: pb.Trace | None = None
    for _ in range(int(_PATIENCE / 0.5)):
        try:
            found = await traces.find(cast.grpc, cast.boot_operation)
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
        if found is not None and not _missing(found) and not waterfall.orphans(found.spans):
            return found
        await asyncio.sleep(0.5)
    if found is None:
        raise Failed(f"telemetry has no trace of the operation {cast.boot_operation}")
    return found


def _missing(found: pb.Trace) -> set[str]:
    return _PROCESSES - {span.service for span in found.spans}
