"""A host that has joined, without an identity service to join by: for tests of hosts by themselves."""

from pathlib import Path

from cryptography import x509

from mesh import ids, joining
from mesh.certificates import Authority, Identity
from mesh.holder import keep, signing_request


def joined(state: Path, authority: Authority, host_id: str = "") -> str:
    """Have the host whose state is there hold a certificate of this authority; its id."""
    host_id = joining.host_of(state) or host_id or ids.new()
    place, identity = joining.directory(state), Identity.node(host_id)
    place.mkdir(parents=True, exist_ok=True)
    (state / "host-id").write_text(host_id)
    (place / "ca.crt").write_bytes(authority.ca_pem)
    key_path = place / f"{identity.file}.key"
    key = x509.load_der_x509_csr(signing_request(key_path)).public_key()
    certificate = authority.sign(key, identity)  # type: ignore[arg-type]
    keep(key_path, place / f"{identity.file}.crt", certificate)
    return host_id
