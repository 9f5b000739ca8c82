"""Certificates, and requests for them, that somebody has made up: none holds, and nothing breaks."""

import base64
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mesh import ids
from mesh.certificates import Authority
from mesh.errors import CloudError
from services.identity import client_certificates
from services.identity.hosts import HostCertificates
from tests.client_authority import ClientAuthority, as_the_edge_says

AUTHORITY = ClientAuthority()
ANN = AUTHORITY.issue("ann", names=(x509.RFC822Name("ann@north.example"),))[0]
DER = ssl.PEM_cert_to_DER_cert(ANN)
HOST = ids.new()
BIT = st.integers(0, 1 << 15)
ECDSA_WITH_SHA256 = bytes.fromhex("2a8648ce3d040302")


def holds(pem: str) -> bool:
    """Whether somebody gets in with it."""
    return client_certificates.verified(pem, AUTHORITY.pem, datetime.now(UTC)) is not None


def flipped(content: bytes, bit: int) -> bytes:
    raw = bytearray(content)
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(raw)


def test_the_untouched_certificate_holds() -> None:
    assert holds(ANN)
    assert client_certificates.shown(as_the_edge_says(ANN)) == ANN


@given(bit=BIT)
def test_a_certificate_with_one_bit_flipped_never_holds(bit: int) -> None:
    assert not holds(ssl.DER_cert_to_PEM_cert(flipped(DER, bit)))


@given(length=st.integers(0, len(DER) - 1), more=st.binary(max_size=40))
def test_a_certificate_cut_anywhere_never_holds(length: int, more: bytes) -> None:
    assert not holds(ssl.DER_cert_to_PEM_cert(DER[:length] + more))


@given(text=st.text(max_size=200) | st.text(alphabet='Cert="%,;AB0 \n', max_size=80))
def test_text_that_is_no_certificate_never_holds(text: str) -> None:
    for pem in (text, client_certificates.shown(text), f"{text}{ANN[:-40]}"):
        assert not holds(pem)


@pytest.mark.parametrize("algorithm", ["2a8648ce3d040301", "2a8648ce3d040307", "2b65700000000000"])
def test_another_algorithm_named_in_the_place_of_its_own_makes_no_certificate_hold(algorithm: str) -> None:
    assert DER.count(ECDSA_WITH_SHA256) == 2
    assert not holds(ssl.DER_cert_to_PEM_cert(DER.replace(ECDSA_WITH_SHA256, bytes.fromhex(algorithm))))


def test_a_certificate_of_a_megabyte_holds_no_better_than_another() -> None:
    names = tuple(x509.DNSName(f"{n}.example") for n in range(70_000))
    large = ssl.PEM_cert_to_DER_cert(AUTHORITY.issue("", names=names)[0])
    assert len(large) > 1_000_000
    assert holds(ssl.DER_cert_to_PEM_cert(large))
    assert not holds(ssl.DER_cert_to_PEM_cert(flipped(large, 4_000_000)))
    assert not holds(ssl.DER_cert_to_PEM_cert(large[:-1]))
    assert not holds("A" * 1_000_000)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> HostCertificates:
    return HostCertificates(Authority.open_or_create(tmp_path_factory.mktemp("pki")))


def outcome(certificates: HostCertificates, csr: bytes) -> str:
    """The reason of the refusal, "" when it is taken; any other failure fails the test."""
    try:
        certificates.key(csr, HOST)
    except CloudError as error:
        return error.reason
    return ""


def request(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
    *more: x509.GeneralName,
) -> bytes:
    """A request for a certificate of the host, with these names too."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{HOST}.node.weft.internal")])
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]) if more else name)
    if more:
        made = made.add_extension(x509.SubjectAlternativeName(more), critical=False)
    by = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(key, by).public_bytes(serialization.Encoding.DER)


OWN = x509.UniformResourceIdentifier(f"spiffe://weft/node/{HOST}")
P256 = ec.generate_private_key(ec.SECP256R1())
GOOD = request(P256, OWN)


def test_the_untouched_request_is_taken(certificates: HostCertificates) -> None:
    assert outcome(certificates, GOOD) == ""


@given(bit=BIT)
def test_a_request_with_one_bit_flipped_is_refused(certificates: HostCertificates, bit: int) -> None:
    assert outcome(certificates, flipped(GOOD, bit)) == "INVALID_ARGUMENT"


@given(length=st.integers(0, len(GOOD) - 1), more=st.binary(max_size=40))
def test_a_request_cut_anywhere_is_refused(certificates: HostCertificates, length: int, more: bytes) -> None:
    assert outcome(certificates, GOOD[:length] + more) == "INVALID_ARGUMENT"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "an algorithm that nobody knows": lambda: GOOD.replace(
        ECDSA_WITH_SHA256, ECDSA_WITH_SHA256[:-1] + b"\x77"
    ),
    "a curve that nobody knows": lambda: GOOD.replace(
        bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030177")
    ),
    "another curve": lambda: request(ec.generate_private_key(ec.SECP384R1()), OWN),
    "a key of RSA": lambda: request(rsa.generate_private_key(65537, 2048), OWN),
    "a key of Ed25519": lambda: request(ed25519.Ed25519PrivateKey.generate(), OWN),
    "a registered id": lambda: request(P256, OWN, x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
    "a name of another kind": lambda: request(
        P256, OWN, x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a")
    ),
    "a directory's name": lambda: request(P256, x509.DirectoryName(x509.Name([]))),
    "a megabyte of names": lambda: request(P256, *(x509.DNSName(f"{n}.example") for n in range(70_000))),
    "a megabyte of nothing": lambda: bytes(1_000_000),
    "nothing": lambda: b"",
    "text": lambda: base64.b64encode(GOOD),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_request_is_refused(certificates: HostCertificates, kind: str) -> None:
    assert HOSTILE[kind]() != GOOD
    assert outcome(certificates, HOSTILE[kind]()) == "INVALID_ARGUMENT"
