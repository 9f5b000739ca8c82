"""What a sweep found and left alone, told to whoever runs the cloud: in the log, and by telemetry's list."""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from mesh import caller
from mesh.channel import Peers
from mesh.errors import CloudError
from weft.telemetry.v1.warning_service_pb2 import ReportWarningsRequest, Warning
from weft.telemetry.v1.warning_service_pb2_grpc import WarningServiceStub

# Seconds after which the same is told again, so that it is not forgotten, and is there again when it was.
REPEAT = 300.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is a WarningKind without its prefix; `resource_id` an id, or a name where there is none."""

    kind: str
    resource_type: str
    resource_id: str
    message: str
    host_id: str = ""


class Warnings:
    """Tells what one process finds; one object for all its topics."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._logged: dict[str, frozenset[Finding]] = {}
        self._told: dict[str, tuple[frozenset[Finding], float]] = {}

    async def tell(self, topic: str, findings: Iterable[Finding]) -> None:
        """These, and no others, are what there is to say about `topic` now.

        Each is logged once. Where telemetry does not answer it is told with a later round.
        """
        found = frozenset(findings)
        for new in found - self._logged.get(topic, frozenset()):
            _log.warning("%s", new.message)
        self._logged[topic] = found
        before, at = self._told.get(topic, (None, 0.0))
        if found == before and time.monotonic() - at < REPEAT:
            return
        try:
            with caller.acting_as(caller.ANONYMOUS):
                await self._report(topic, found)
        except CloudError as error:
            _log.info("telemetry was not told of %s: %s", topic, error.message)
            return
        self._told[topic] = (found, time.monotonic())

    async def _report(self, topic: str, found: frozenset[Finding]) -> None:
        stub = self._peers.stub(WarningServiceStub, service="telemetry")
        told = [Warning(**asdict(f) | {"kind": f"WARNING_KIND_{f.kind}"}) for f in sorted(found, key=str)]
        await stub.ReportWarnings(ReportWarningsRequest(topic=topic, warnings=told), timeout=10)
