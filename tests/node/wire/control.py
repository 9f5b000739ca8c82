"""The network service as host agents see it: streams what is to be, takes reports. Real gRPC and TLS."""

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty

from mesh.certificates import Authority, Identity, server_credentials
from weft.network.v1 import host_service_pb2_grpc, host_state_pb2


class Control(host_service_pb2_grpc.HostNetworkServiceServicer):
    """Keeps a whole state for each host; a change is sent as the whole, or as its parts."""

    def __init__(self, state: Path) -> None:
        self.address = f"unix:{state}/network.sock"
        self._states: dict[str, host_state_pb2.HostState] = {}
        self._streams: dict[str, list[queue.Queue]] = {}
        self._news = threading.Condition()
        self.reports: dict[str, host_state_pb2.PortReport] = {}
        self.confirmed: dict[str, tuple[int, dict[str, str]]] = {}
        self._leaf = Authority.open_or_create(state / "pki").issue(Identity.service("network"))
        self.open()

    def open(self) -> None:
        """Serve."""
        self._pool = ThreadPoolExecutor(16)
        self._server = grpc.server(self._pool)
        host_service_pb2_grpc.add_HostNetworkServiceServicer_to_server(self, self._server)
        self._server.add_secure_port(self.address, server_credentials(self._leaf))
        self._server.start()

    def close(self) -> None:
        """Hang up on everyone."""
        for streams in self._streams.values():
            for stream in streams:
                stream.put(None)
        self._server.stop(grace=0.2).wait()
        self._pool.shutdown()

    def want(self, host: str, state: host_state_pb2.HostState) -> None:
        """Send the whole state of a host."""
        with self._news:
            self._states[host] = state
            for stream in self._streams.get(host, ()):
                stream.put(state)

    def change(self, host: str, part: host_state_pb2.HostState, whole: host_state_pb2.HostState) -> None:
        """Send only what changed; `whole` is for those who ask anew."""
        with self._news:
            self._states[host] = whole
            for stream in self._streams.get(host, ()):
                stream.put(part)

    def until(self, port_id: str, state: int, revision: int = 0, seconds: float = 20.0) -> None:
        """Wait for a report on a port."""
        ends = time.monotonic() + seconds
        with self._news:
            while not self._reported(port_id, state, revision):
                if not self._news.wait(ends - time.monotonic()):
                    raise AssertionError(f"{port_id} is not so in {seconds} s: {self.reports.get(port_id)}")

    def until_confirmed(
        self, host: str, revision: int, trouble: set[str] = frozenset(), seconds: float = 60.0
    ) -> dict[str, str]:
        """Wait until a host has all up to the revision, but has trouble with these; what it says of them."""
        ends = time.monotonic() + seconds
        with self._news:
            while True:
                said, why = self.confirmed.get(host, (0, {}))
                if said >= revision and why.keys() == trouble:
                    return why
                if not self._news.wait(ends - time.monotonic()):
                    raise AssertionError(f"{host} does not say so in {seconds} s, but {said}: {why}")

    def forget_reports(self) -> None:
        """Wait for new ones from now on."""
        with self._news:
            self.reports.clear()

    def _reported(self, port_id: str, state: int, revision: int) -> bool:
        report = self.reports.get(port_id)
        return report is not None and report.state == state and report.revision >= revision

    def WatchHostState(self, request, context) -> Iterator[host_state_pb2.HostState]:
        """Part of the contract."""
        mine: queue.Queue = queue.Queue()
        with self._news:
            self._streams.setdefault(request.host_id, []).append(mine)
            if request.host_id in self._states:
                mine.put(self._states[request.host_id])
        context.add_callback(lambda: mine.put(None))
        while (state := mine.get()) is not None:
            yield state
        self._streams[request.host_id].remove(mine)

    def ReportHostState(self, request, context) -> Empty:
        """Part of the contract."""
        with self._news:
            self.reports.update((report.port_id, report) for report in request.ports)
            if request.confirmed_revision or request.trouble:
                trouble = {each.resource_id: each.detail for each in request.trouble}
                self.confirmed[request.host_id] = (request.confirmed_revision, trouble)
            self._news.notify_all()
        return Empty()
