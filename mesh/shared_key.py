"""A secret that all processes of a state directory share, made by whichever comes first."""

import contextlib
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


def _offer(path: Path, key: bytes) -> None:
    """Put the key there whole, unless another process was first."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:
        file.write(key)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
