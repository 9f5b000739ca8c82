"""An authority of a test's own, which issues client certificates to people."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


class ClientAuthority:
    """Signs whatever it is asked to."""

    def __init__(self, name: str = "people") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            self._begun(self._name, self._key.public_key(), now - DAY, now + 365 * DAY)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = _pem(self._certificate)

    def issue(
        self,
        common_name: str,
        *,
        names: tuple[x509.GeneralName, ...] = (),
        units: tuple[str, ...] = (),
        start: timedelta = -DAY,
        end: timedelta = DAY,
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        is_authority: bool = False,
    ) -> tuple[str, str]:
        """A certificate and its key (both PEM); it begins and ends so long from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        said = [(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
        subject = [(NameOID.COMMON_NAME, common_name)] if common_name else []
        name = x509.Name([x509.NameAttribute(*each) for each in (*said, *subject)])
        made = self._begun(name, key.public_key(), now + start, now + end)
        made = made.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=not common_name)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(made.sign(self._key, hashes.SHA256())), private.decode()

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
        )


def as_the_edge_says(certificate: str) -> str:
    """The header that the edge makes of a certificate (PEM)."""
    return f'Hash={"0" * 64};Cert="{quote(certificate, safe="")}"'


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
