"""Certificates that are not, or no longer, what the authority gave: none opens a connection or a door."""

import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from mesh import ids, peer
from mesh.caller import Kind
from mesh.certificates import Authority
from tests.mesh.cloudlet import Cloudlet
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc

DAY = timedelta(days=1)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def made(
    authority: Authority,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[bytes, x509.Certificate]:
    """A key and a certificate of service/network, signed by the cloud's authority unless by `signer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca_key = serialization.load_pem_private_key((authority.directory / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    names = [x509.UniformResourceIdentifier("spiffe://weft/service/network")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "network")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signer or ca_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    return pem(key), certificate


async def connects(little: Cloudlet, key: bytes, chain: bytes) -> bool:
    """Whether compute takes a connection with this certificate."""
    credentials = grpc.ssl_channel_credentials(little.authority.ca_pem, key, chain)
    options = (("grpc.ssl_target_name_override", "compute.weft.internal"),)
    async with aio.secure_channel(
        little.settings.address("compute"), credentials, options=options
    ) as channel:
        stub = flavor_service_pb2_grpc.FlavorServiceStub(channel)
        try:
            await stub.GetFlavor(flavor_service_pb2.GetFlavorRequest(id=ids.new()), timeout=5)
        except aio.AioRpcError as error:
            return {grpc.StatusCode.UNAVAILABLE: False}[error.code()]
    return True


def in_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


async def test_a_certificate_of_the_authority_in_its_time_opens(little: Cloudlet) -> None:
    key, certificate = made(little.authority)
    assert await connects(little, key, in_pem(certificate))


@pytest.mark.parametrize(
    ("begins", "ends"), [(-2 * DAY, -DAY), (DAY, 2 * DAY)], ids=["expired", "not yet valid"]
)
async def test_a_certificate_out_of_its_time_opens_nothing(
    little: Cloudlet, begins: timedelta, ends: timedelta
) -> None:
    key, certificate = made(little.authority, begins, ends)
    assert not await connects(little, key, in_pem(certificate))


async def test_a_certificate_for_servers_alone_opens_nothing(little: Cloudlet) -> None:
    key, certificate = made(little.authority, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    assert not await connects(little, key, in_pem(certificate))


async def test_the_authoritys_name_without_its_key_opens_nothing(little: Cloudlet) -> None:
    key, certificate = made(little.authority, signer=ec.generate_private_key(ec.SECP256R1()))
    assert not await connects(little, key, in_pem(certificate))


async def test_anothers_certificate_without_its_key_opens_nothing(little: Cloudlet) -> None:
    _, certificate = made(little.authority)
    assert not await connects(little, pem(ec.generate_private_key(ec.SECP256R1())), in_pem(certificate))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.99])
async def test_a_certificate_with_a_bit_flipped_opens_nothing(little: Cloudlet, share: float) -> None:
    key, certificate = made(little.authority)
    raw = bytearray(certificate.public_bytes(serialization.Encoding.DER))
    raw[int(len(raw) * share)] ^= 1
    broken = ssl_pem(bytes(raw))
    assert not await connects(little, key, broken)
    assert await connects(little, key, in_pem(certificate))


def ssl_pem(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).encode()


def shown(*names: bytes, **metadata: bytes) -> tuple[Kind | None, str]:
    """What kind of caller a certificate with these names makes, and of which id."""
    context = SimpleNamespace(auth_context=lambda: {"x509_subject_alternative_name": names})
    found = peer.of(context, "weft", metadata)
    return (found.kind, found.service or found.host_id) if found else (None, "")


def test_names_of_the_cloud_make_callers() -> None:
    assert shown(b"spiffe://weft/service/compute") == (Kind.SERVICE, "compute")
    assert shown(b"dns.name", b"spiffe://weft/node/h1") == (Kind.NODE, "h1")
    assert shown(b"spiffe://weft/gateway") == (Kind.ANONYMOUS, "")


@pytest.mark.parametrize(
    "name",
    [
        b"spiffe://other/service/compute",
        b"spiffe://weftx/service/compute",
        b"https://weft/service/compute",
        b"spiffe://weft/service/",
        b"spiffe://weft/node/",
        b"spiffe://weft/node",
        b"spiffe://weft/",
        b"spiffe://weft/admin/root",
        b"spiffe://weft/\xff\xfe/h1",
        b"",
    ],
)
def test_other_names_make_nobody(name: bytes) -> None:
    assert shown(name) == (None, "")


@given(name=st.binary(max_size=60))
def test_no_bytes_after_the_clouds_name_break_the_check(name: bytes) -> None:
    kind, _ = shown(b"spiffe://weft/" + name)
    assert kind in (None, *Kind)
    if not name.startswith((b"service/", b"node/", b"gateway")):
        assert kind is None
