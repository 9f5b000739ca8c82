"""Certificates of hosts: what a request for one must be, and what identity signs."""

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh import peer
from mesh.certificates import Authority, Identity
from mesh.errors import invalid
from services.identity.certificate_errors import UNREADABLE


class HostCertificates:
    """Signs for hosts with the cloud's authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    @property
    def ca_pem(self) -> bytes:
        """The CA's certificate, which a host trusts."""
        return self._authority.ca_pem

    def key(self, csr: bytes, host_id: str) -> ec.EllipticCurvePublicKey:
        """The key that a request is for. Raises INVALID_ARGUMENT for one that is broken, not signed by that
        key, for a key of another kind, or in the name of somebody else.
        """
        try:
            request = x509.load_der_x509_csr(csr)
            signed, key = request.is_signature_valid, request.public_key()
            said = _names(request)
        except UNREADABLE as error:
            raise invalid("csr", "is no request for a certificate (PKCS #10, DER)") from error
        if not signed:
            raise invalid("csr", "is not signed by its key")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise invalid("csr", "needs a key on the curve P-256")
        identity = Identity.node(host_id)
        if not said <= {identity.dns, f"spiffe://{self._authority.cloud}/{identity.path}"}:
            raise invalid("csr", "asks for a name that is not this host's")
        return key

    def sign(self, key: ec.EllipticCurvePublicKey, host_id: str, join_id: str) -> bytes:
        """A certificate (PEM) of the host, which tells the join that it rests on."""
        return self._authority.sign(key, Identity.node(host_id), peer.JOIN + join_id)


def digest(key: ec.EllipticCurvePublicKey) -> str:
    """What a key is known by (hex)."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()


def _names(request: x509.CertificateSigningRequest) -> set[str]:
    """Every name that the request asks for."""
    names = {str(name.value) for name in request.subject if name.oid == NameOID.COMMON_NAME}
    for extension in request.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names |= {str(name.value) for name in extension.value}
    return names
