"""SSH public keys: what is accepted, how it is shown, how a pair is made."""

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.errors import CloudError, invalid

_FIELD = "public_key"
# Keys held in a security token: their form is checked here, for the library does not read them.
_TOKEN_TYPES = frozenset({"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"})


def check(public_key: str) -> str:
    """The key on one line without space around it. Raises INVALID_ARGUMENT when it is no OpenSSH key."""
    line = public_key.strip()
    if "\n" in line or "\r" in line or "\0" in line:
        raise invalid(_FIELD, "must be one line.")
    kind, blob = _parts(line)
    if len(blob) < 4 or blob[4 : 4 + int.from_bytes(blob[:4])] != kind.encode():
        raise _refused()
    if kind not in _TOKEN_TYPES:
        try:
            serialization.load_ssh_public_key(line.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _refused() from error
    return line


def fingerprint(public_key: str) -> str:
    """MD5 of the key, colon-separated hex, as OpenSSH and Nova show it: a name for it, no protection."""
    digest = hashlib.md5(_parts(public_key)[1], usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def generate(comment: str) -> tuple[str, str]:
    """A new Ed25519 pair: the private key as OpenSSH PEM, the public one on one line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {' '.join(comment.split())}".strip()


def _parts(line: str) -> tuple[str, bytes]:
    try:
        kind, encoded, *_ = line.split(None, 2)
        return kind, base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise _refused() from error


def _refused() -> CloudError:
    return invalid(_FIELD, "is not a public key in OpenSSH form, such as `ssh-ed25519 AAAA… name`.")
