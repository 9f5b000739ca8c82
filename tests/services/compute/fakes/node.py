"""A host agent: guests that do nothing but exist."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids
from mesh.certificates import Identity
from mesh.errors import CloudError, not_found, wrong_status
from mesh.server import Part, Runtime, Service
from mesh.settings import ServiceSettings
from tests.services.compute.fakes.faults import Faulty
from weft.node.v1 import guest_service_pb2, guest_service_pb2_grpc, image_cache_service_pb2_grpc
from weft.node.v1.guest_service_pb2 import GetConsoleResponse
from weft.node.v1.image_cache_service_pb2 import StageImageResponse
from weft.node.v1.resources_pb2 import Guest, GuestMetadata, GuestPort, GuestSpec, GuestState, GuestVolume


@dataclass
class Machine:
    """A guest of the fake host."""

    spec: GuestSpec
    state: str = "SHUTOFF"
    volumes: dict[str, GuestVolume] = field(default_factory=dict)
    ports: dict[str, GuestPort] = field(default_factory=dict)
    before: tuple[int, int] | None = None
    offered: bool = False
    copies: set[str] = field(default_factory=set)
    console: bytes = b""

    def message(self) -> Guest:
        state = GuestState.Value(f"GUEST_STATE_{self.state}")
        volumes = self.volumes.values()
        return Guest(server_id=self.spec.server_id, state=state, volumes=volumes, hypervisor="simulated")


class Node(
    Faulty,
    guest_service_pb2_grpc.GuestServiceServicer,
    image_cache_service_pb2_grpc.ImageCacheServiceServicer,
):
    """One host."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__()
        self.id, self.name, self.address = ids.new(), name, address
        self.guests: dict[str, Machine] = {}
        self.staged: set[str] = set()
        self.grace: float | None = None
        self.hard: bool | None = None
        self.bring: Callable[[str, str], None] = lambda host_id, image_id: None

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service(
                [
                    (guest_service_pb2_grpc.add_GuestServiceServicer_to_server, self),
                    (image_cache_service_pb2_grpc.add_ImageCacheServiceServicer_to_server, self),
                ]
            )

        listen = ServiceSettings(self.name, self.address, (self.address,), "")
        return Part(self.name, build, identity=Identity.node(self.id), service=listen)

    def _guest(self, server_id: str) -> Machine:
        if server_id not in self.guests:
            raise not_found("guest", server_id)
        return self.guests[server_id]

    async def StageImage(self, request: Any, context: Any) -> StageImageResponse:
        self.called("StageImage")
        if request.grant != f"{self.id} {request.sha256}".encode():
            raise CloudError("PERMISSION_DENIED", "This host was not granted that content.")
        self.staged.add(request.sha256)
        return StageImageResponse()

    async def DefineGuest(self, request: Any, context: Any) -> Guest:
        self.called("DefineGuest")
        spec = request.guest
        there = self.guests.get(spec.server_id)
        if there is not None and there.spec.operation_id != spec.operation_id:
            raise wrong_status("guest", spec.server_id, "DEFINED", ("GONE",))
        if there is None:
            self.guests[spec.server_id] = there = Machine(spec)
            there.ports = {port.port_id: port for port in spec.ports}
            for volume in spec.volumes:
                self._give(there, volume)
        return there.message()

    def _give(self, machine: Machine, volume: GuestVolume) -> GuestVolume:
        if volume.attachment_id not in machine.volumes:
            volume.device = f"vd{'bcdefghijkl'[len(machine.volumes)]}"
            machine.volumes[volume.attachment_id] = volume
        return machine.volumes[volume.attachment_id]

    async def StartGuest(self, request: Any, context: Any) -> Guest:
        self.called("StartGuest")
        await self.held("StartGuest")
        machine = self._guest(request.server_id)
        machine.state = "RUNNING"
        return machine.message()

    async def StopGuest(self, request: Any, context: Any) -> Guest:
        await self.held("StopGuest")
        self.called("StopGuest")
        machine = self._guest(request.server_id)
        machine.state = "SHUTOFF"
        self.grace = request.grace.ToMilliseconds() / 1000
        return machine.message()

    async def RebootGuest(self, request: Any, context: Any) -> Guest:
        await self.held("RebootGuest")
        self.called("RebootGuest")
        machine = self._guest(request.server_id)
        machine.state, self.hard = "RUNNING", request.hard
        return machine.message()

    async def PauseGuest(self, request: Any, context: Any) -> Guest:
        return await self._turn("PauseGuest", request.server_id, "PAUSED")

    async def UnpauseGuest(self, request: Any, context: Any) -> Guest:
        return await self._turn("UnpauseGuest", request.server_id, "RUNNING")

    async def SuspendGuest(self, request: Any, context: Any) -> Guest:
        return await self._turn("SuspendGuest", request.server_id, "SHUTOFF")

    async def _turn(self, rpc: str, server_id: str, state: str) -> Guest:
        await self.held(rpc)
        self.called(rpc)
        machine = self._guest(server_id)
        machine.state = state
        return machine.message()

    async def DeleteGuest(self, request: Any, context: Any) -> Empty:
        await self.held("DeleteGuest")
        self.called("DeleteGuest")
        self.guests.pop(request.server_id, None)
        return Empty()

    async def GetGuest(self, request: Any, context: Any) -> Guest:
        self.called("GetGuest")
        return self._guest(request.server_id).message()

    async def ListGuests(self, request: Any, context: Any) -> Any:
        self.called("ListGuests")
        guests = [machine.message() for machine in self.guests.values()]
        return guest_service_pb2.ListGuestsResponse(guests=guests)

    async def AttachVolume(self, request: Any, context: Any) -> GuestVolume:
        await self.held("AttachVolume")
        self.called("AttachVolume")
        return self._give(self._guest(request.server_id), request.volume)

    async def DetachVolume(self, request: Any, context: Any) -> Empty:
        self.called("DetachVolume")
        self._guest(request.server_id).volumes.pop(request.attachment_id, None)
        return Empty()

    async def RebuildGuest(self, request: Any, context: Any) -> Guest:
        self.called("RebuildGuest")
        machine = self._guest(request.guest.server_id)
        machine.state, machine.spec = "SHUTOFF", request.guest
        return machine.message()

    async def ResizeGuest(self, request: Any, context: Any) -> Guest:
        self.called("ResizeGuest")
        machine = self._guest(request.server_id)
        assert machine.state == "SHUTOFF"
        machine.before = machine.before or (machine.spec.vcpus, machine.spec.memory_mib)
        machine.spec.vcpus, machine.spec.memory_mib = request.vcpus, request.memory_mib
        return machine.message()

    async def ConfirmGuest(self, request: Any, context: Any) -> Empty:
        self.called("ConfirmGuest")
        self._guest(request.server_id).before = None
        return Empty()

    async def RevertGuest(self, request: Any, context: Any) -> Empty:
        self.called("RevertGuest")
        machine = self._guest(request.server_id)
        assert machine.state == "SHUTOFF"
        if machine.before:
            machine.spec.vcpus, machine.spec.memory_mib = machine.before
            machine.before = None
        return Empty()

    async def ExportGuest(self, request: Any, context: Any) -> Any:
        self.called("ExportGuest")
        machine = self._guest(request.server_id)
        assert machine.state == "SHUTOFF"
        machine.offered = True
        spec = machine.spec
        answer = guest_service_pb2.ExportGuestResponse(ports=machine.ports.values())
        if spec.HasField("root_disk"):
            answer.root_disk.CopyFrom(spec.root_disk)
            answer.copy.root.address, answer.copy.root.export = "192.0.2.1:10809", spec.server_id
        return answer

    async def UnexportGuest(self, request: Any, context: Any) -> Empty:
        self.called("UnexportGuest")
        if request.server_id in self.guests:
            self.guests[request.server_id].offered = False
        return Empty()

    async def SnapshotGuest(self, request: Any, context: Any) -> Empty:
        await self.held("SnapshotGuest")
        self.called("SnapshotGuest")
        self._guest(request.server_id).copies.add(request.snapshot_id)
        return Empty()

    async def UploadSnapshot(self, request: Any, context: Any) -> Empty:
        self.called("UploadSnapshot")
        if request.snapshot_id not in self._guest(request.server_id).copies:
            raise not_found("snapshot", request.snapshot_id)
        self.bring(self.id, request.snapshot_id)
        return Empty()

    async def DropSnapshot(self, request: Any, context: Any) -> Empty:
        self.called("DropSnapshot")
        if request.server_id in self.guests:
            self.guests[request.server_id].copies.discard(request.snapshot_id)
        return Empty()

    async def AttachPort(self, request: Any, context: Any) -> Empty:
        await self.held("AttachPort")
        self.called("AttachPort")
        self._guest(request.server_id).ports[request.port.port_id] = request.port
        return Empty()

    async def DetachPort(self, request: Any, context: Any) -> Empty:
        self.called("DetachPort")
        self._guest(request.server_id).ports.pop(request.port_id, None)
        return Empty()

    async def UpdateMetadata(self, request: Any, context: Any) -> Empty:
        self.called("UpdateMetadata")
        self._guest(request.server_id).spec.metadata.CopyFrom(request.metadata)
        return Empty()

    def metadata(self, server_id: str) -> GuestMetadata:
        return self.guests[server_id].spec.metadata

    async def GetConsole(self, request: Any, context: Any) -> GetConsoleResponse:
        self.called("GetConsole")
        log = self._guest(request.server_id).console
        begin = max(0, len(log) - (request.length or len(log))) if request.offset < 0 else request.offset
        return GetConsoleResponse(data=log[begin:], offset=begin, size_bytes=len(log))
