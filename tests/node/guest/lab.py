"""A real host agent in a laboratory: a control plane of fakes, and the guest that tests are about."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mesh.errors import CloudError
from node import inventory
from tests.node.conftest import MIB
from tests.node.control import Control
from tests.node.images import ImageService
from tests.node.machine import Machine, tiny_image
from tests.services.harness import until
from weft.network.v1.host_state_pb2 import HostNetwork, HostPort, HostState, HostSubnet
from weft.network.v1.resources_pb2 import FixedIp, NetworkType
from weft.node.v1 import guest_service_pb2 as pb
from weft.node.v1 import volume_service_pb2 as volume_pb
from weft.node.v1.guest_service_pb2_grpc import GuestServiceStub
from weft.node.v1.image_cache_service_pb2 import StageImageRequest
from weft.node.v1.image_cache_service_pb2_grpc import ImageCacheServiceStub
from weft.node.v1.resources_pb2 import GuestPort, GuestSpec, GuestVolume, RootDisk
from weft.node.v1.volume_service_pb2_grpc import HostVolumeServiceStub


class Lab:
    """A host, its control plane, and the one guest that most tests are about."""

    def __init__(self, machine: Machine, control: Control) -> None:
        self.machine, self.control = machine, control
        self.host_id = inventory.host_id(machine.settings.node)
        self.guest = GuestSpec()

    @property
    def guests(self) -> Any:
        return self.control.stub(GuestServiceStub, self.host_id)

    @property
    def volumes(self) -> Any:
        return self.control.stub(HostVolumeServiceStub, self.host_id)

    async def registered(self, epoch: int) -> None:
        async def so() -> bool:
            return self.control.compute.epochs[self.host_id] == epoch

        await until(so, 60)

    async def answers(self) -> None:
        """Wait until the agent takes calls: after a restart, connections are tried only now and then."""

        async def so() -> bool:
            try:
                await self.guests.ListGuests(pb.ListGuestsRequest())
            except CloudError:
                return False
            return True

        await until(so, 30)

    async def told(self, state: int, server_id: str = "") -> None:
        async def so() -> bool:
            return self.control.compute.state(server_id or self.guest.server_id) == state

        await until(so, 60)

    async def root(self) -> RootDisk:
        """The small image, staged on the host."""
        wanted = self.control.images._images.add(tiny_image(), "qcow2")
        staged = await self.control.stub(ImageCacheServiceStub, self.host_id).StageImage(
            StageImageRequest(
                image_id=wanted.image_id, sha256=wanted.sha256, size_bytes=wanted.size_bytes, format="qcow2"
            )
        )
        return RootDisk(
            image_sha256=wanted.sha256, size_bytes=staged.virtual_size_bytes, image_format="qcow2"
        )

    async def volume(self, **source: Any) -> str:
        request = volume_pb.CreateVolumeRequest(
            volume_id=str(uuid.uuid4()), size_bytes=64 * MIB, operation_id=str(uuid.uuid4()), **source
        )
        return (await self.volumes.CreateVolume(request)).volume_id

    def content(self, folder: str, id: str) -> bytes:
        return (self.machine.state / folder / f"{id}.raw").read_bytes()[:14]

    async def attach(self, volume: GuestVolume) -> GuestVolume:
        return await self.guests.AttachVolume(
            pb.AttachVolumeRequest(server_id=self.guest.server_id, volume=volume)
        )

    async def detach(self, volume: GuestVolume) -> None:
        await self.guests.DetachVolume(
            pb.DetachVolumeRequest(server_id=self.guest.server_id, attachment_id=volume.attachment_id)
        )

    async def state(self) -> int:
        return (await self.guests.GetGuest(pb.GetGuestRequest(server_id=self.guest.server_id))).state


def network_of(server_id: str, *ports: GuestPort) -> HostState:
    """A tenant network with DHCP, and the guest's ports on it."""
    subnet = HostSubnet(
        id=str(uuid.uuid4()), cidr="10.77.0.0/24", dhcp_enabled=True, dhcp_address="10.77.0.2"
    )
    network = HostNetwork(
        id=ports[0].network_id,
        type=NetworkType.NETWORK_TYPE_VXLAN,
        segmentation_id=77,
        mtu=1450,
        admin_state_up=True,
        subnets=[subnet],
    )
    return HostState(
        revision=1 + len(ports),
        complete=True,
        networks=[network],
        ports=[_wanted(port, server_id, subnet.id) for port in ports],
    )


def _wanted(port: GuestPort, server_id: str, subnet_id: str) -> HostPort:
    return HostPort(
        id=port.port_id,
        network_id=port.network_id,
        server_id=server_id,
        mac_address=port.mac_address,
        fixed_ips=[FixedIp(subnet_id=subnet_id, ip_address=port.addresses[0].address.partition("/")[0])],
        admin_state_up=True,
        revision=1,
    )


@asynccontextmanager
async def laboratory() -> AsyncIterator[Lab]:
    """All of it, running."""
    machine = Machine()
    try:
        control = Control(machine.settings, ImageService())
        async with control.running():
            machine.start()
            lab = Lab(machine, control)
            await lab.registered(1)
            yield lab
            control.network.change(HostState(revision=9, complete=True))

            async def unwired() -> bool:
                return all(state != 1 for state in control.network.wired.values())

            await until(unwired, 20)
            machine.end()
    finally:
        machine.close()
