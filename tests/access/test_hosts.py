"""A host's certificate speaks for that host alone, at every RPC that hosts call to say something."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh import contract, ids
from tests.access.conftest import HOST, Mesh
from tests.access.test_matrix import all_methods
from tests.access.test_tenants import outcome
from weft.block.v1.pool_service_pb2 import RegisterPoolRequest
from weft.compute.v1.host_service_pb2 import HeartbeatRequest, RegisterHostRequest, ReportGuestEventsRequest
from weft.compute.v1.password_service_pb2 import GetLeftPasswordRequest, LeavePasswordRequest
from weft.identity.v1.join_service_pb2 import RenewCertificateRequest
from weft.network.v1.host_service_pb2 import ReportHostStateRequest, WatchHostStateRequest
from weft.options.v1 import access_pb2
from weft.telemetry.v1.warning_service_pb2 import ReportWarningsRequest, Warning

pytestmark = pytest.mark.asyncio(loop_scope="package")

ANOTHER = "22222222-2222-4222-8222-222222222222"
REFUSED = {"AUDIENCE_REFUSED", "PERMISSION_DENIED"}
# What any host may ask: these name no host, or do it by what a service signed for one (FetchImage's grant).
OF_NO_HOST = {
    "/weft.identity.v1.KeyService/WatchRevocations",
    "/weft.identity.v1.KeyService/CheckToken",
    "/weft.identity.v1.AuditService/RecordEvents",
    "/weft.image.v1.TransferService/FetchImage",
    "/weft.image.v1.TransferService/StoreImage",
}


def host(id: str) -> RegisterHostRequest:
    """A host with no room, so that nothing is placed on it."""
    request = RegisterHostRequest(vcpu_ratio=1.0, memory_reserved_mib=64)
    request.host.id, request.host.name, request.host.address = id, id, "127.0.0.1:1"
    request.host.hypervisor, request.host.vcpus, request.host.memory_mib = "simulated", 1, 64
    return request


def pool(id: str) -> RegisterPoolRequest:
    request = RegisterPoolRequest()
    request.pool.id, request.pool.host_id, request.pool.name = ids.new(), id, id
    request.pool.backend, request.pool.host_address, request.pool.capacity_bytes = "file", "127.0.0.1:1", 1
    return request


def warning(id: str) -> ReportWarningsRequest:
    return ReportWarningsRequest(topic="host", warnings=[Warning(resource_type="guest", host_id=id)])


def left(id: str) -> LeavePasswordRequest:
    return LeavePasswordRequest(host_id=id, server_id=ids.new(), encrypted="x")


def renewal(id: str) -> RenewCertificateRequest:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return RenewCertificateRequest(host_id=id, csr=csr.public_bytes(serialization.Encoding.DER))


SAYING: dict[str, Any] = {
    "/weft.compute.v1.HostService/RegisterHost": host,
    "/weft.compute.v1.HostService/Heartbeat": lambda id: HeartbeatRequest(id=id, epoch=1),
    "/weft.compute.v1.HostService/ReportGuestEvents": lambda id: ReportGuestEventsRequest(host_id=id),
    "/weft.compute.v1.PasswordService/LeavePassword": left,
    "/weft.compute.v1.PasswordService/GetLeftPassword": lambda id: GetLeftPasswordRequest(
        host_id=id, server_id=ids.new()
    ),
    "/weft.network.v1.HostNetworkService/WatchHostState": lambda id: WatchHostStateRequest(host_id=id),
    "/weft.network.v1.HostNetworkService/ReportHostState": lambda id: ReportHostStateRequest(host_id=id),
    "/weft.block.v1.PoolService/RegisterPool": pool,
    "/weft.identity.v1.JoinService/RenewCertificate": renewal,
    "/weft.telemetry.v1.WarningService/ReportWarnings": warning,
}


async def test_every_rpc_for_hosts_is_tried_here() -> None:
    for_hosts = {m.path for m in all_methods() if m.access and m.access.audience == access_pb2.AUDIENCE_NODE}
    assert for_hosts == set(SAYING) | OF_NO_HOST


@pytest.mark.parametrize("path", SAYING)
async def test_a_host_says_nothing_in_the_name_of_another(mesh: Mesh, path: str) -> None:
    method = contract.method(path)
    async with mesh.client(path.split(".")[1], "node") as client:
        assert await outcome(client, method, SAYING[path](ANOTHER)) in REFUSED
        own = await outcome(client, method, SAYING[path](HOST))
    assert own not in REFUSED | {"INVALID_ARGUMENT", "UNAUTHENTICATED"}
