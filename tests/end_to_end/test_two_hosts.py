"""Two host agents, each with its own libvirtd, on one machine: guests meet over VXLAN, tenants do not."""

import asyncio
from textwrap import dedent

from cli.cloud import health
from tests.end_to_end.clouds import Cloud, Person
from weft.compute.v1 import host_service_pb2, host_service_pb2_grpc


async def hosts_of(cloud: Cloud) -> list[str]:
    async with await health.administrator(cloud.layout) as admin:
        stub = admin.stub(host_service_pb2_grpc.HostServiceStub)
        return [host.id for host in (await stub.ListHosts(host_service_pb2.ListHostsRequest())).hosts]


# A guest boots and says what it found within so many seconds, where everything else is slow.
PATIENCE = 240


def reach(other: str, secret: str, tries: int) -> bytes:
    """User data that says on the console whether another address answers, and what metadata holds."""
    return dedent(f"""\
        #!/bin/sh
        # {secret}
        for try in $(seq 1 {tries}); do
          ping -c 1 -W 1 {other} > /dev/null 2>&1 && found=yes && break
          sleep 1
        done
        data=http://169.254.169.254/openstack/latest/user_data
        echo "metadata: $(timeout 5 wget -q -O- $data | sed -n 2p)"
        [ "$found" ] && echo "REACHED {other}" || echo "SILENT {other}"
        """).encode()


async def boot(person: Person, network: str, name: str, host: str, address: str, script: bytes) -> str:
    server = await person.boot(
        name=name,
        flavor_id=await person.flavor(),
        image_id=(await person.image(name)),
        networks=[{"network_id": network, "fixed_ip": address}],
        host_id=host,
        user_data=script,
    )
    return server.id


async def test_guests_meet_across_hosts_and_tenants_share_nothing(two_hosts: Cloud) -> None:
    one, two = await hosts_of(two_hosts)
    async with (
        two_hosts.person("alpha", "admin") as alpha,
        two_hosts.person("bravo", "admin") as bravo,
    ):
        # The same addresses in both projects: only the networks tell them apart. Within a project the group
        # `default` lets its own members in.
        ours, theirs = await alpha.network("10.5.0.0/24"), await bravo.network("10.5.0.0/24")
        left, right = await asyncio.gather(
            boot(alpha, ours, "left", one, "10.5.0.11", reach("10.5.0.12", "alpha-secret", 25)),
            boot(alpha, ours, "right", two, "10.5.0.12", reach("10.5.0.11", "alpha-secret", 25)),
        )
        said = await alpha.console_says(left, "REACHED", "SILENT", within=PATIENCE)
        assert "REACHED 10.5.0.12" in said
        assert "metadata: # alpha-secret" in said
        said = await alpha.console_says(right, "REACHED", "SILENT", within=PATIENCE)
        assert "REACHED 10.5.0.11" in said
        await alpha.delete(left)
        # A stranger with the address of the one that left, asking for the one that is there and answers.
        script = reach("10.5.0.12", "bravo-secret", 5)
        stranger = await boot(bravo, theirs, "stranger", one, "10.5.0.11", script)
        said = await bravo.console_says(stranger, "REACHED", "SILENT", within=PATIENCE)
        assert "SILENT 10.5.0.12" in said
        assert "metadata: # bravo-secret" in said
        assert "alpha-secret" not in said
        for person, server in ((alpha, right), (bravo, stranger)):
            await person.delete(server)
