"""Which ports are wired: for those who wait for one, and for the reports to the network service."""

import asyncio
from collections.abc import Iterable

from mesh.errors import CloudError
from node.wire.kernel import Result
from weft.network.v1 import host_state_pb2 as pb


class Readiness:
    """Remembers what was said of each port, so that only news is said again."""

    def __init__(self, host_id: str) -> None:
        self._host_id = host_id
        self._wired: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._said: dict[str, tuple[int, int, str]] = {}
        self._gone: set[str] = set()
        self._news = asyncio.Event()

    def learn(self, result: Result) -> list[pb.PortReport]:
        """Take in what became of all ports; what is to be reported."""
        self._wired, self._failed = dict(result.wired), dict(result.failed)
        self._news, news = asyncio.Event(), self._news
        news.set()
        reports = [_report(id, pb.WIRE_STATE_WIRED, revision) for id, revision in self._wired.items()]
        reports += [_report(id, pb.WIRE_STATE_FAILED, 0, why) for id, why in self._failed.items()]
        reports += [_report(id, pb.WIRE_STATE_REMOVED, 0) for id in self._gone if result.healthy]
        self._gone -= {report.port_id for report in reports}
        return [report for report in reports if self._is_news(report)]

    def forget(self, ports: Iterable[str]) -> None:
        """These ports are to go."""
        self._gone |= set(ports)

    def repeat(self) -> None:
        """Say everything once more: who listens has forgotten, or is another one."""
        self._said.clear()

    async def wait(self, port_id: str, seconds: float) -> None:
        """Return once the port is wired. Raises CloudError PORT_NOT_WIRED after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while port_id not in self._wired:
                    await self._news.wait()
        except TimeoutError:
            why = self._failed.get(port_id, "the network service has not told this host of it")
            message = f"The port {port_id} was not wired in {seconds:g} s: {why}."
            raise CloudError("PORT_NOT_WIRED", message, port_id=port_id, host_id=self._host_id) from None

    def _is_news(self, report: pb.PortReport) -> bool:
        said = (report.state, report.revision, report.detail)
        if self._said.get(report.port_id) == said:
            return False
        if report.state == pb.WIRE_STATE_REMOVED:
            self._said.pop(report.port_id, None)
        else:
            self._said[report.port_id] = said
        return True


def _report(port_id: str, state: pb.WireState.ValueType, revision: int, detail: str = "") -> pb.PortReport:
    return pb.PortReport(port_id=port_id, state=state, revision=revision, detail=detail[:4096])
