"""Secrets that must be read again, sealed with a key that is not in the database.

AES-256-GCM, bound to what the secret belongs to: who can write to the database can neither read one nor put
one in another's place. Replicas of identity share the file of the key, like those of the signing keys.
"""

import base64
import contextlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.settings import SettingsError

_NONCE = 12


class Unreadable(Exception):
    """What is sealed was sealed by another key, or for something else."""


class Seal:
    """Closes and opens secrets with the key in one file, made if absent, which blocks."""

    def __init__(self, file: Path) -> None:
        """Raises SettingsError when others may read the key, or it is none."""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            _make(file)
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{file}: others may read this key: chmod 600 it")
        try:
            self._cipher = AESGCM(file.read_bytes())
        except ValueError as error:
            raise SettingsError(f"{file}: this is no key of 32 bytes") from error

    def close(self, secret: bytes, owner: str) -> str:
        """The secret as text that tells nothing; `owner` is what it belongs to."""
        nonce = secrets.token_bytes(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, owner.encode())).decode()

    def open(self, sealed: str, owner: str) -> bytes:
        """The secret again. Raises Unreadable."""
        raw = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], owner.encode())
        except InvalidTag as error:
            raise Unreadable(f"the secret of {owner} cannot be opened with this key") from error


def _make(file: Path) -> None:
    """Put a key there whole, unless another process was first."""
    scratch = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(AESGCM.generate_key(256))
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(scratch, file)
    finally:
        scratch.unlink()
