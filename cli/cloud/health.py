"""Whether the parts of a one-machine cloud are well: asked of each, and waited for."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.cloud.layout import Layout
from cli.cloud.processes import Process, parts
from cli.scopes import scope
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from mesh.errors import CloudError
from mesh.settings import PORTS
from weft.block.v1 import pool_service_pb2, pool_service_pb2_grpc
from weft.compute.v1 import host_service_pb2, host_service_pb2_grpc
from weft.compute.v1.resources_pb2 import HOST_STATUS_UP
from weft.identity.v1 import key_service_pb2, key_service_pb2_grpc
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

_NOT_YET = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "INTERNAL", "CANCELLED")


@dataclass(frozen=True)
class Health:
    """What a part answered. `why` is empty when it is well."""

    name: str
    why: str = ""


async def services(layout: Layout) -> list[Health]:
    """Every service, asked over its own socket."""
    authority = Authority.open_or_create(layout.state / "pki", layout.settings.cloud.name)
    return list(await asyncio.gather(*(_service(layout, authority, name) for name in PORTS)))


async def _service(layout: Layout, authority: Authority, name: str) -> Health:
    identity = Identity.service(name)
    leaf = authority.issue(Identity.gateway())
    async with connect(layout.socket(name), layout.ca, leaf=leaf, server_name=identity.dns) as client:
        check = client.stub(health_pb2_grpc.HealthStub).Check
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=2)
        except CloudError as error:
            return Health(name, error.message)
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return Health(name, "" if serving else "it is not serving yet")


async def gateway(layout: Layout) -> Health:
    """A call that needs no token, through the gateway."""
    async with connect(layout.endpoint, layout.ca) as client:
        try:
            stub = client.stub(key_service_pb2_grpc.KeyServiceStub)
            await stub.ListKeys(key_service_pb2.ListKeysRequest(), timeout=2)
        except CloudError as error:
            return Health("gateway", error.message)
        return Health("gateway")


async def hosts(layout: Layout) -> list[Health]:
    """The hosts, as compute knows them, with their pools of volumes."""
    try:
        async with await administrator(layout) as client:
            hosts = client.stub(host_service_pb2_grpc.HostServiceStub)
            answer = await hosts.ListHosts(host_service_pb2.ListHostsRequest(), timeout=5)
            pools = client.stub(pool_service_pb2_grpc.PoolServiceStub)
            known = await pools.ListPools(pool_service_pb2.ListPoolsRequest(), timeout=5)
    except CloudError as error:
        if error.reason not in _NOT_YET:
            raise
        return [Health(name, error.message) for name in layout.names]
    up = {host.name for host in answer.hosts if host.status == HOST_STATUS_UP}
    up &= {pool.name for pool in known.pools}
    return [Health(name, "" if name in up else "it has not registered yet") for name in layout.names]


async def administrator(layout: Layout, project: str = "") -> Client:
    """A client of the gateway as the first administrator: for the whole system, or in a project."""
    client = connect(layout.endpoint, layout.ca)
    try:
        password = (await asyncio.to_thread(layout.admin_password.read_text)).strip()
        credential = tokens.PasswordCredential(user_name="admin", password=password)
        wanted = scope(project=project, system=not project)
        request = tokens.CreateTokenRequest(password=credential, scope=wanted)
        client.token = (await client.stub(TokenServiceStub).CreateToken(request, timeout=10)).token
    except BaseException:
        await client.close()
        raise
    return client


def dead(layout: Layout, unless: Collection[str] = ()) -> Process | None:
    """A part whose process has ended; none of those in `unless`."""
    return next((part for part in parts(layout) if part.pid is None and part.name not in unless), None)
