"""Certificates are renewed while everything runs: new handshakes show the new one, calls never fail."""

import asyncio
import ssl

from cryptography import x509

from mesh import certificates, ids
from mesh.certificates import Leaf
from tests.mesh.cloudlet import Cloudlet
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1 import flavor_service_pb2_grpc as pb_grpc


async def shown_serial(little: Cloudlet) -> int:
    """The serial number of the certificate that compute shows at a fresh handshake."""
    leaf = little.runtimes["identity"].leaf
    context = ssl.create_default_context(cafile=str(little.authority.directory / "ca.crt"))
    context.load_cert_chain(leaf.certificate_path, leaf.key_path)
    context.set_alpn_protocols(["h2"])
    host, _, port = little.settings.address("compute").partition(":")
    _, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname="compute.weft.internal"
    )
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).serial_number


def make_due(leaf: Leaf) -> None:
    """As if two thirds of its life had passed."""
    old = leaf.pair()
    leaf._pair = certificates.Pair(old.key, old.chain, renew_at=0.0)
    leaf.certificate_path.unlink()


async def test_a_servers_certificate_is_renewed_without_a_restart(little: Cloudlet) -> None:
    before = await shown_serial(little)
    assert await shown_serial(little) == before
    make_due(little.runtimes["compute"].leaf)
    after = await shown_serial(little)
    assert after != before
    assert await shown_serial(little) == after


async def test_a_client_whose_certificate_is_renewed_goes_on_calling(little: Cloudlet) -> None:
    identity = little.runtimes["identity"]
    stub = identity.peers.stub(pb_grpc.FlavorServiceStub, "compute")
    await stub.GetFlavor(pb.GetFlavorRequest(id=ids.new()))
    shown = identity.leaf.pair().chain
    make_due(identity.leaf)
    await asyncio.gather(*(stub.GetFlavor(pb.GetFlavorRequest(id=ids.new())) for _ in range(5)))
    assert identity.leaf.pair().chain != shown
    assert {seen.service for seen in little.flavors.callers} == {"identity"}
