"""Ports of servers that are gone: deleted where compute made them, unbound where it only bound them."""

from datetime import timedelta

from mesh import clock, ids
from services.compute import stray_ports
from services.compute.flows.app import App
from services.compute.flows.ports import id_of
from services.compute.nodes import Nodes
from services.compute.store import servers
from services.compute.stray_ports import GRACE
from tests.services.compute.cloud import Cloud
from weft.compute.v1.resources_pb2 import Server
from weft.network.v1.resources_pb2 import Port


async def sweep(compute: Cloud, after: timedelta) -> None:
    runtime, later = compute.runtime, clock.now() + after
    app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
    with clock.told_by(lambda: later):
        await stray_ports.give_back(app)


async def gone(compute: Cloud) -> tuple[Server, str]:
    """A server that was deleted, and the operation that had made it."""
    begun = await compute.member.boot(**compute.wish)
    (port,) = begun.ports
    operations = await compute.runtime.database.read(servers.operations_on, begun.id)
    hosts = [node.id for node in compute.nodes]
    made = [id for id in operations if port.port_id in {ids.derived(id, id_of(0, host)) for host in hosts}]
    await compute.member.delete(begun)
    return begun, made[0]


def port_of(compute: Cloud, device_id: str, id: str = "") -> Port:
    """A port on the first host, for a server."""
    port = compute.networks.add_port(compute.network, device_owner="compute", device_id=device_id)
    port.host_id = compute.nodes[0].id
    if id:
        del compute.networks.ports[port.id]
        port.id = id
        compute.networks.ports[id] = port
    return port


async def test_a_port_that_came_after_its_boot_was_undone_is_deleted_once_it_is_old(compute: Cloud) -> None:
    server, operation_id = await gone(compute)
    late = port_of(compute, server.id, ids.derived(operation_id, id_of(0, compute.nodes[0].id)))
    await sweep(compute, GRACE - timedelta(minutes=1))
    assert late.id in compute.networks.ports
    await sweep(compute, GRACE + timedelta(minutes=1))
    assert late.id not in compute.networks.ports


async def test_a_port_that_somebody_else_made_is_taken_from_the_host_and_stays(compute: Cloud) -> None:
    server, _ = await gone(compute)
    theirs = port_of(compute, server.id)
    await sweep(compute, GRACE + timedelta(minutes=1))
    assert compute.networks.ports[theirs.id].host_id == ""


async def test_ports_of_servers_that_are_there_are_left_alone(compute: Cloud) -> None:
    server = await compute.member.boot(**compute.wish)
    before = {id: Port.FromString(port.SerializeToString()) for id, port in compute.networks.ports.items()}
    assert [port.device_id for port in before.values()] == [server.id]
    await sweep(compute, GRACE + timedelta(minutes=1))
    assert compute.networks.ports == before
