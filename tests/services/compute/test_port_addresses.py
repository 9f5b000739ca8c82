"""What servers show of their ports' addresses follows the network service."""

import asyncio

from services.compute.flows.app import App
from services.compute.nodes import Nodes
from services.compute.port_addresses import PortAddresses
from tests.services.compute.cloud import Cloud
from tests.services.harness import until
from weft.compute.v1.resources_pb2 import Server
from weft.compute.v1.server_service_pb2 import ListServersRequest


async def shows(compute: Cloud, server: Server, *addresses: str) -> None:
    """The server shows these addresses of its port in the end."""

    async def done() -> bool:
        return list((await compute.member.get(server.id)).ports[0].fixed_ips) == list(addresses)

    await until(done)


async def compare(compute: Cloud) -> None:
    runtime = compute.runtime
    app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
    await PortAddresses(app).compare()


async def test_what_is_changed_in_the_network_is_shown_and_found(compute: Cloud) -> None:
    server, other = await compute.member.boot(**compute.wish), await compute.member.boot(**compute.wish)
    before = list(other.ports[0].fixed_ips)
    await asyncio.wait_for(compute.networks.watched.wait(), 60)
    compute.networks.give(server.ports[0].port_id, "10.0.0.70", "10.0.0.71")
    await shows(compute, server, "10.0.0.70", "10.0.0.71")
    found = await compute.member.servers.ListServers(ListServersRequest(address_prefix="10.0.0.71"))
    assert [each.id for each in found.servers] == [server.id]
    compute.networks.give(server.ports[0].port_id, "10.0.0.70")
    await shows(compute, server, "10.0.0.70")
    found = await compute.member.servers.ListServers(ListServersRequest(address_prefix="10.0.0.71"))
    assert list(found.servers) == []
    await shows(compute, other, *before)
    await compute.assert_consistent()


async def test_what_was_missed_is_found_by_comparing(compute: Cloud) -> None:
    server = await compute.member.boot(**compute.wish)
    free = compute.networks.add_port(compute.network, device_owner="compute")
    compute.networks.give(free.id, "10.0.0.80", told=False)
    compute.networks.give(server.ports[0].port_id, "10.0.0.72", told=False)
    await compare(compute)
    after = await compute.member.get(server.id)
    assert list(after.ports[0].fixed_ips) == ["10.0.0.72"]
    await compare(compute)
    assert (await compute.member.get(server.id)).revision == after.revision


async def test_news_that_come_late_change_nothing(compute: Cloud) -> None:
    server = await compute.member.boot(**compute.wish)
    port_id = server.ports[0].port_id
    await asyncio.wait_for(compute.networks.watched.wait(), 60)
    late = compute.networks.give(port_id, "10.0.0.73", told=False)
    compute.networks.give(port_id, "10.0.0.74")
    await shows(compute, server, "10.0.0.74")
    compute.networks.tell(late)
    compute.networks.give(port_id, "10.0.0.74", "10.0.0.75")
    await shows(compute, server, "10.0.0.74", "10.0.0.75")
    changes = (await compute.member.get(server.id)).revision - server.revision
    assert changes == 2
