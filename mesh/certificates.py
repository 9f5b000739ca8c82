"""The embedded certificate authority, and who a certificate says that its holder is.

Each process has a leaf whose URI SAN names it (spiffe://<cloud>/service/<name>, /node/<host id>, /gateway).
Leaves live a day and are renewed when a third of that is left: servers take the new one at the next
handshake, clients at the next connection, nothing restarts. Control and gateway have the authority at hand;
a host has a certificate of its own (mesh/holder.py), and asks identity for the next.
"""

import fcntl
import ipaddress
import os
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=1)
# A clock that is behind by less still takes a fresh certificate.
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a leaf names: `path` of the SPIFFE URI, `file` stem on disk, `hosts` as further SANs."""

    path: str
    file: str
    dns: str
    hosts: tuple[str, ...] = ()

    @classmethod
    def service(cls, name: str) -> "Identity":
        """A service of the control plane."""
        return cls(f"service/{name}", name, f"{name}.weft.internal")

    @classmethod
    def node(cls, host_id: str) -> "Identity":
        """A host agent."""
        return cls(f"node/{host_id}", f"node-{host_id}", f"{host_id}.node.weft.internal")

    @classmethod
    def gateway(cls) -> "Identity":
        """The gateway towards services; it gives no rights."""
        return cls("gateway", "gateway", "gateway.weft.internal")

    @classmethod
    def server(cls, name: str, hosts: Iterable[str]) -> "Identity":
        """A server that clients without certificates dial by these DNS names and IP addresses."""
        return cls(f"server/{name}", f"server-{name}", f"{name}.weft.internal", tuple(hosts))


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, both PEM, and when the next one is due (seconds since the epoch)."""

    key: bytes
    chain: bytes
    renew_at: float


class Shown(Protocol):
    """What a connection shows of who calls."""

    def pair(self) -> Pair:
        """The current pair: the same object until there is a newer one."""
        ...


class Leaf(ABC):
    """One identity's key and certificate in a directory, beside the CA's `ca.crt`; always a current one."""

    def __init__(self, directory: Path, identity: Identity, ca_pem: bytes) -> None:
        self.directory, self.identity, self.ca_pem = directory, identity, ca_pem
        self.certificate_path = directory / f"{identity.file}.crt"
        self.key_path = directory / f"{identity.file}.key"

    @abstractmethod
    def pair(self) -> Pair:
        """The current pair: the same object until there is a newer one. From any thread."""


class IssuedLeaf(Leaf):
    """A leaf whose authority is at hand."""

    def __init__(self, authority: "Authority", identity: Identity) -> None:
        super().__init__(authority.directory, identity, authority.ca_pem)
        self.authority = authority
        self._lock = threading.Lock()
        self._pair = self._read()

    def pair(self) -> Pair:
        """The current pair, renewed first when that is due."""
        if datetime.now(UTC).timestamp() < self._pair.renew_at:
            return self._pair
        with self._lock:
            self._pair = self._read()
        return self._pair

    def _read(self) -> Pair:
        """What is on disk, if it is of this authority and not due; else a new one."""
        with self.authority.alone():
            if not self._good():
                self.authority.write_leaf(self)
            chain = self.certificate_path.read_bytes()
            return Pair(self.key_path.read_bytes(), chain, renew_at(x509.load_pem_x509_certificate(chain)))

    def _good(self) -> bool:
        if not (self.certificate_path.exists() and self.key_path.exists()):
            return False
        certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        if certificate.issuer != self.authority.certificate.subject or _names(certificate) != _wanted(
            self.authority.cloud, self.identity
        ):
            return False
        return datetime.now(UTC).timestamp() < renew_at(certificate)


class Authority:
    """The cloud's certificate authority in a directory: ca.crt, ca.key and the leaves that it issued."""

    def __init__(self, directory: Path, cloud: str) -> None:
        self.directory, self.cloud = directory, cloud
        self._ca_key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
        self.ca_pem = (directory / "ca.crt").read_bytes()
        self.certificate = x509.load_pem_x509_certificate(self.ca_pem)

    @classmethod
    def open_or_create(cls, directory: Path, cloud: str = "weft") -> "Authority":
        """The authority kept in `directory`, made on first use; processes that start together agree."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(directory):
            if not (directory / "ca.crt").exists():
                _create(directory, cloud)
        return cls(directory, cloud)

    def issue(self, identity: Identity) -> Leaf:
        """The leaf of an identity: `<file>.crt` and `<file>.key` in the directory, kept current."""
        return IssuedLeaf(self, identity)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process writes to the directory meanwhile."""
        with _alone(self.directory):
            yield

    def write_leaf(self, leaf: Leaf) -> None:
        """Make and keep a new pair for a leaf."""
        key = new_key()
        write(leaf.key_path, pem(key), 0o600)
        write(leaf.certificate_path, self.sign(key.public_key(), leaf.identity), 0o644)

    def sign(self, key: ec.EllipticCurvePublicKey, identity: Identity, *more: str) -> bytes:
        """A certificate (PEM): who has this key is `identity`. `more` are further URIs in it."""
        names = [_san(name) for name in (*_wanted(self.cloud, identity), *more)]
        builder = (
            _builder(identity.dns, key, self.certificate.subject, LEAF_LIFE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
        )
        certificate = builder.sign(self._ca_key, hashes.SHA256())  # type: ignore[arg-type]
        return certificate.public_bytes(serialization.Encoding.PEM)


def server_credentials(leaf: Leaf) -> grpc.ServerCredentials:
    """Mutual TLS for a server: clients must show a leaf of the same authority. Rotates by itself."""
    shown = leaf.pair()

    def configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)], leaf.ca_pem)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        pair = leaf.pair()
        if pair is shown:
            return None
        shown = pair
        return configuration(pair)

    return grpc.dynamic_ssl_server_credentials(
        configuration(shown), fetch, require_client_authentication=True
    )


def server_context(leaf: Leaf) -> ssl.SSLContext:
    """The same for servers that do not speak gRPC, with the pair of now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=leaf.ca_pem.decode())
    pair = leaf.pair()
    # OpenSSL reads files only, and those on the disk may be changed between the key and the certificate.
    with os.fdopen(os.memfd_create("pair"), "wb") as file:
        file.write(pair.key + pair.chain)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def channel_credentials(ca_pem: bytes, pair: Pair | None = None) -> grpc.ChannelCredentials:
    """TLS for a client that trusts one authority, and shows `pair` when it has one."""
    if pair is None:
        return grpc.ssl_channel_credentials(ca_pem)
    return grpc.ssl_channel_credentials(ca_pem, pair.key, pair.chain)


def _create(directory: Path, cloud: str) -> None:
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"weft cloud {cloud}")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    certificate = (
        _builder(f"weft cloud {cloud}", key.public_key(), subject, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    write(directory / "ca.key", pem(key), 0o600)
    write(directory / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _builder(
    common_name: str, public_key: ec.EllipticCurvePublicKey, issuer: x509.Name, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _wanted(cloud: str, identity: Identity) -> set[str]:
    return {f"spiffe://{cloud}/{identity.path}", identity.dns, *identity.hosts}


def _names(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def _san(name: str) -> x509.GeneralName:
    if name.startswith(("spiffe://", "urn:")):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def renew_at(certificate: x509.Certificate) -> float:
    """When the next one is due, in seconds since the epoch."""
    return (certificate.not_valid_after_utc - LEAF_LIFE / 3).timestamp()


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key for a leaf."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as files hold it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    fresh = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
