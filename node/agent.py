"""The agent's side of being a host: it registers, gives signs of life, and says what room it has.

Control may be away for as long as it likes: guests run on, and the agent comes back to it.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.settings import Node
from mesh.warnings import Finding, Warnings
from node import inventory
from node.admission import Admission
from node.disk.storage import Storage
from node.guest.hypervisor import Hypervisor
from node.inventory import Inventory
from weft.block.v1.pool_service_pb2 import RegisterPoolRequest
from weft.block.v1.pool_service_pb2_grpc import PoolServiceStub
from weft.block.v1.resources_pb2 import Pool
from weft.compute.v1.host_service_pb2 import HeartbeatRequest, RegisterHostRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import Host

VERSION = "0.1.0"
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH = 0.25, 5.0, 1.5
POOL_SECONDS = 60.0
_DEFAULT_INTERVAL = 5.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Superseded(Exception):
    """Another agent has registered with this host's id."""


class Agent:
    """One host. `registered` is called each time that compute has taken the host in."""

    def __init__(
        self,
        settings: Node,
        host_id: str,
        peers: Peers,
        hypervisor: Hypervisor,
        storage: Storage,
        registered: Callable[[], None],
        admission: Admission,
    ) -> None:
        self._settings = settings
        self._host_id = host_id
        self._name = inventory.host_name(settings)
        self._peers = peers
        self._hypervisor = hypervisor
        self._storage = storage
        self._registered = registered
        self._admission = admission
        self._warnings = Warnings(peers)
        self._pool_due = asyncio.Event()
        self._compute: Any = peers.stub(HostServiceStub, service="compute")

    async def run(self) -> None:
        """Register, give signs of life, and register again when compute has forgotten the host.

        Ends when another agent says that it is this host: the later one is believed, as after a restart.
        """
        try:
            while True:
                epoch = await self._insist(self._be_admitted)
                _log.info("registered as host %s (%s), epoch %d", self._name, self._host_id, epoch)
                self._registered()
                self._pool_due.set()
                await self._live(epoch)
        except Superseded:
            self._admission.refuse("another agent has registered as it since.")
            _log.error("another agent is registered as host %s: this one is cut off", self._host_id)

    async def keep_pool(self) -> None:
        """Tell block of the pool on this host: each minute, and when control may have forgotten it."""
        while True:
            await self._admission.admitted()
            self._pool_due.clear()
            await self._insist(self._register_pool)
            await self._warnings.tell("identity", ())
            with suppress(TimeoutError):  # nobody asked for it: it is time anyway
                await asyncio.wait_for(self._pool_due.wait(), POOL_SECONDS)

    async def _register_pool(self) -> None:
        room = await asyncio.to_thread(self._storage.room)
        pool = Pool(
            id=str(uuid.uuid5(uuid.UUID(self._host_id), "pool/file")),
            name=self._name,
            backend="file",
            host_id=self._host_id,
            host_address=self._settings.address,
            capacity_bytes=self._settings.pool_bytes or room.total,
        )
        stub: Any = self._peers.stub(PoolServiceStub, service="block")
        await stub.RegisterPool(RegisterPoolRequest(pool=pool))

    async def _insist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """What `call` answers, however long control is away."""
        wait = _FIRST_WAIT
        while True:
            try:
                return await call()
            except CloudError as error:
                _log.warning("control does not take this host yet: %s", error.message)
            await asyncio.sleep(wait)
            wait = min(wait * _GROWTH, _LONGEST_WAIT)

    async def _be_admitted(self) -> int:
        """Register; the epoch, which the disk remembers from then on."""
        try:
            epoch = await self._register()
        except CloudError as error:
            if error.reason == "WRONG_STATUS":
                self._admission.refuse(error.message)
                refused = Finding("REFUSED_HOST", "host", self._host_id, error.message, self._host_id)
                await self._warnings.tell("identity", [refused])
            raise
        await asyncio.to_thread(self._admission.admit, epoch)
        return epoch

    async def _register(self) -> int:
        has = await self._inventory()
        host = Host(
            id=self._host_id,
            name=self._name,
            address=self._settings.address,
            hypervisor=self._hypervisor.kind,
            versions={
                "agent": VERSION,
                "kernel": inventory.kernel(),
                **await self._hypervisor.versions(),
            },
            vcpus=has.vcpus,
            memory_mib=has.memory_mib,
            disk_gib=has.disk_gib,
        )
        request = RegisterHostRequest(
            host=host,
            vcpu_ratio=self._settings.vcpu_ratio,
            memory_reserved_mib=self._settings.memory_reserved_mib,
            traits=has.traits,
            last_epoch=self._admission.last_epoch,
            place=self._admission.place,
        )
        return (await self._compute.RegisterHost(request)).epoch

    async def _inventory(self) -> Inventory:
        if self._hypervisor.kind == "simulated":
            return inventory.SIMULATED
        room = await asyncio.to_thread(self._storage.room)
        return inventory.take(self._hypervisor.kind, room.total)

    async def _live(self, epoch: int) -> None:
        """Give signs of life until compute does not know the host any more."""
        interval = _DEFAULT_INTERVAL
        while True:
            try:
                interval = await self._beat(epoch) or _DEFAULT_INTERVAL
            except CloudError as error:
                if error.reason == "NOT_FOUND":
                    return
                if error.reason == "WRONG_STATUS":
                    raise Superseded from error
                _log.warning("compute did not hear this host: %s", error.message)
            await asyncio.sleep(interval)

    async def _beat(self, epoch: int) -> float:
        free = await asyncio.to_thread(self._storage.free)
        beat = HeartbeatRequest(id=self._host_id, epoch=epoch, free_disk_bytes=free)
        answer = await self._compute.Heartbeat(beat, timeout=10)
        return answer.interval.ToTimedelta().total_seconds()
