"""A secret that all processes of a state directory share, made by whichever comes first."""

import contextlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path


def shared_key(path: Path) -> bytes:
    """The 32 bytes in this file, which is made if absent."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _offer(path, secrets.token_bytes(32))
    return path.read_bytes()


class Seal:
    """Authentication codes by such a key; until one is named, by one of this process alone."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def use(self, path: Path) -> None:
        """Seal with the key in this file from now on, so that other processes know the codes again."""
        self._key = shared_key(path)

    def of(self, data: bytes) -> bytes:
        """The 32 bytes of the HMAC-SHA-256 of `data`."""
        return hmac.digest(self._key, data, "sha256")


def _offer(path: Path, key: bytes) -> None:
    """Put the key there whole, unless another process was first."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:
        file.write(key)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
