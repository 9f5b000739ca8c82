"""A host's own certificate: its key never leaves the host, and no authority's key is ever on it.

In the directory are the CA's certificate, the key, and the certificate that identity signed for it.
"""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.certificates import Identity, Leaf, Pair, new_key, pem, renew_at, write
from mesh.settings import SettingsError


class NotJoined(SettingsError):
    """The host has no certificate yet."""


class Holder(Leaf):
    """The certificate of a host, in `directory`. One that has ended is held on to: a host works for its
    guests without it, and asks for the next. Raises NotJoined where there is none.
    """

    def __init__(self, directory: Path, host_id: str) -> None:
        try:
            super().__init__(directory, Identity.node(host_id), (directory / "ca.crt").read_bytes())
            self._lock = threading.Lock()
            self._pair = self._read()
        except FileNotFoundError as error:
            raise NotJoined(
                f"node.state: there is no certificate for host {host_id}: make a token with `weft join-token "
                "create`, and join with `weft node join`"
            ) from error

    def pair(self) -> Pair:
        """The current pair."""
        return self._pair

    def look(self) -> None:
        """Take what another process has put there meanwhile. Blocks."""
        with self._lock, suppress(FileNotFoundError):
            if self.certificate_path.read_bytes() != self._pair.chain:
                self._pair = self._read()

    @property
    def due(self) -> bool:
        """Whether it is time for the next certificate."""
        return datetime.now(UTC).timestamp() >= self._pair.renew_at

    @property
    def over(self) -> bool:
        """Whether the certificate has ended, so that nobody believes it any more."""
        return datetime.now(UTC) >= x509.load_pem_x509_certificate(self._pair.chain).not_valid_after_utc

    def request(self) -> bytes:
        """What to ask the next certificate with. Blocks."""
        return signing_request(self.key_path)

    def take(self, certificate: bytes) -> None:
        """Keep the next certificate, and show it from now on. Raises ValueError for another key's. Blocks."""
        keep(self.key_path, self.certificate_path, certificate)
        with self._lock:
            self._pair = self._read()

    def _read(self) -> Pair:
        chain = self.certificate_path.read_bytes()
        return Pair(self.key_path.read_bytes(), chain, renew_at(x509.load_pem_x509_certificate(chain)))


def signing_request(key_path: Path) -> bytes:
    """A PKCS #10 request (DER) by the key in the file, made if absent. Names are the signer's to say."""
    if not key_path.exists():
        write(key_path, pem(new_key()), 0o600)
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(_key(key_path), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def keep(key_path: Path, certificate_path: Path, certificate: bytes) -> None:
    """Keep a certificate beside its key. Raises ValueError when it is another key's."""
    if x509.load_pem_x509_certificate(certificate).public_key() != _key(key_path).public_key():
        raise ValueError("the certificate is for another key")
    write(certificate_path, certificate, 0o644)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
