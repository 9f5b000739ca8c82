"""Whether a part of the cloud does its work: asked of it, or read from what it writes."""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg.rows import dict_row

from mesh.certificates import Authority, Identity
from mesh.channel import connect
from mesh.errors import CloudError
from mesh.settings import PORTS
from tests.chaos.cloud import REPLICAS, ChaosCloud
from weft.identity.v1 import key_service_pb2
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub

_HEARD = """
    SELECT 1 FROM compute.hosts c JOIN network.hosts n ON n.id = c.id
    WHERE c.name = %(name)s AND c.status = 'UP' AND c.last_seen_at > %(since)s AND n.gone_at IS NULL
"""


async def select(cloud: ChaosCloud, query: str, **values: Any) -> list[dict[str, Any]]:
    """Rows of the services' database. Raises psycopg.OperationalError while that is away."""

    def read() -> list[dict[str, Any]]:
        with psycopg.connect(cloud.database.conninfo, connect_timeout=5, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    return await asyncio.to_thread(read)


async def is_well(cloud: ChaosCloud, target: str, since: datetime) -> bool:
    """Whether a part works, as far as can be told now."""
    try:
        async with asyncio.timeout(10):
            return await well(cloud, target, since)
    except (CloudError, psycopg.OperationalError, TimeoutError):
        return False


async def well(cloud: ChaosCloud, target: str, since: datetime) -> bool:
    """Whether a part works; a host is one that was heard of since then, by compute and by the network."""
    if target in REPLICAS:
        return await _replica(cloud, target)
    if target in cloud.hosts:
        return bool(await select(cloud, _HEARD, name=target, since=int(since.timestamp() * 1e6)))
    return await _gateway(cloud) and bool(await select(cloud, "SELECT 1"))


async def _replica(cloud: ChaosCloud, replica: str) -> bool:
    authority = Authority.open_or_create(cloud.state / "pki", "weft")
    leaf = authority.issue(Identity.gateway())
    for service in PORTS:
        name, at = Identity.service(service).dns, cloud.listens(replica, service)
        async with connect(at, cloud.layout.ca, leaf=leaf, server_name=name) as client:
            check = client.stub(health_pb2_grpc.HealthStub).Check
            answer = await check(health_pb2.HealthCheckRequest(), timeout=3)
            if answer.status != health_pb2.HealthCheckResponse.SERVING:
                return False
    return True


async def _gateway(cloud: ChaosCloud) -> bool:
    async with connect(cloud.layout.endpoint, cloud.layout.ca) as client:
        await client.stub(KeyServiceStub).ListKeys(key_service_pb2.ListKeysRequest(), timeout=3)
    return True
