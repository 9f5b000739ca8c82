"""Operations of the network end when a kernel has their changes: that of a real agent, in a namespace."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh import ids
from node.wire import names, namespaces
from tests.node.wire import agent
from tests.node.wire.guest import run_in
from tests.services.harness import until
from tests.services.network.conftest import Cloud, Tried
from tests.services.network.site import state
from weft.network.v1 import resources_pb2 as pb

pytestmark = pytest.mark.system
VTEP = "100.64.7.1"


@contextmanager
def host(weft: Cloud, host_id: str) -> Iterator[subprocess.Popen[bytes]]:
    """The network half of an agent, in a namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    space, place = f"wk{host_id[:8]}", weft.house.settings.state
    namespaces.create(space)
    try:
        run_in(space, "ip", "link", "add", "under0", "type", "bridge")
        run_in(space, "ip", "addr", "add", f"{VTEP}/24", "dev", "under0")
        run_in(space, "ip", "link", "set", "under0", "up")
        command = [
            "nsenter",
            f"--net={namespaces.DIRECTORY / space}",
            sys.executable,
            str(Path(agent.__file__)),
        ]
        command += ["--host", host_id, "--state", str(place), "--vtep", VTEP, "--give-up"]
        command += ["--network", weft.house.settings.address("network")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        running = subprocess.Popen(command, env=environment)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGCONT)
            running.terminate()
            running.wait(60)
    finally:
        namespaces.remove(space)


async def test_an_operation_ends_when_the_kernel_has_it_and_is_taken_back_when_it_has_not(
    patience: Callable[[], Tried], weft: Cloud
):
    mine, host_id = weft.project(), ids.new()
    external, _ = await weft.project("admin").network_with_subnet("203.0.113.0/24", external=True)
    network, subnet = await mine.network_with_subnet()

    async def done(changed: pb.Router | pb.FloatingIp) -> str:
        return state(await mine.ended(changed.operation_id))

    def lead(floating_ip: pb.FloatingIp, port_id: str) -> pb.FloatingIp:
        wanted, mask = pb.FloatingIp(port_id=port_id), {"paths": ["port_id"]}
        return mine.UpdateFloatingIp(id=floating_ip.id, floating_ip=wanted, update_mask=mask)

    with host(weft, host_id) as running:
        port = await mine.bound_port(weft.compute(), network.id, host_id)

        async def is_there() -> bool:
            return (await mine.GetPort(id=port.id)).status == pb.PORT_STATUS_ACTIVE

        await until(is_there)
        router = await mine.CreateRouter(name="r")
        space = names.router_space(router.id, host_id)
        assert namespaces.identity(space) is None
        router = await mine.AddRouterInterface(id=router.id, subnet_id=subnet.id)
        assert await done(router) == "SUCCEEDED"
        assert "10.0.0.1/24" in run_in(space, "ip", "addr").stdout
        gateway = pb.ExternalGateway(network_id=external.id)
        assert await done(await mine.SetRouterGateway(id=router.id, gateway=gateway)) == "SUCCEEDED"
        floating_ip = await mine.CreateFloatingIp(network_id=external.id)
        assert await done(await lead(floating_ip, port.id)) == "SUCCEEDED"

        def translates() -> bool:
            return f"{floating_ip.address} : 10.0.0." in run_in(space, "nft", "list", "ruleset").stdout

        assert translates()
        running.send_signal(signal.SIGSTOP)
        patience().patience = 1.0
        changed = await lead(floating_ip, "")
        assert state(await mine.GetOperation(id=changed.operation_id)) == "RUNNING"
        assert await done(changed) == "FAILED"
        assert (await mine.GetFloatingIp(id=floating_ip.id)).port_id == port.id
        running.send_signal(signal.SIGCONT)
        patience().patience = 120.0
        assert await done(await lead(floating_ip, "")) == "SUCCEEDED"
        assert not translates()
