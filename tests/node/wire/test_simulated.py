"""The simulated wire talks with the network service as the real one does."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from mesh import settings
from mesh.certificates import Authority, Identity
from mesh.channel import Peers
from mesh.errors import CloudError
from node.wire import SimulatedWire
from tests.node.wire.control import Control
from tests.node.wire.world import Host, World
from weft.network.v1 import host_state_pb2 as pb


class NoGuests:
    """No guest has any port."""

    def metadata(self, port_id: str) -> None:
        """Nothing."""


async def test_every_port_is_wired_and_reported_at_once(tmp_path: Path) -> None:
    control = Control(tmp_path)
    environ = {"WEFT_CLOUD__STATE": str(tmp_path), "WEFT_SERVICES__NETWORK__ADDRESS": control.address}
    loaded = settings.load(environ=environ)
    host = Host(str(uuid4()), "")
    peers = Peers(loaded, Authority.open_or_create(tmp_path / "pki").issue(Identity.node(host.id)))
    wire = SimulatedWire(loaded.node, peers, host.id, NoGuests())
    world = World([host])
    port = world.port(world.network("10.0.0.0/24"), host, "10.0.0.5")
    await wire.start()
    try:
        control.want(host.id, world.state(host))
        await wire.ready(port.id, 10)
        await asyncio.to_thread(control.until, port.id, pb.WIRE_STATE_WIRED, 1)
        with pytest.raises(CloudError, match="has not told this host") as failure:
            await wire.ready("another", 0.1)
        assert failure.value.reason == "PORT_NOT_WIRED"
        del world.ports[port.id]
        control.want(host.id, world.state(host))
        await asyncio.to_thread(control.until, port.id, pb.WIRE_STATE_REMOVED)
    finally:
        await wire.stop()
        await peers.close()
        await asyncio.to_thread(control.close)
