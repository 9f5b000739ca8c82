"""Databases that are at their newest migration already: to go through all of them takes as long as a test."""

import importlib
import tempfile
from functools import cache
from pathlib import Path

from mesh import backends, migrate
from mesh.settings import ServiceSettings

_SQLITE = "sqlite:///"


def lay(service: ServiceSettings) -> None:
    """What a service begins with is there, where its database is a file that it would have to make."""
    file = Path(service.database_url.removeprefix(_SQLITE))
    if service.database_url.startswith(_SQLITE) and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_empty(service.name))


@cache
def _empty(service: str) -> bytes:
    """The file as the service's migrations make it."""
    module = importlib.import_module(f"services.{service}.__main__")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "empty.db")
        backend = backends.open(f"{_SQLITE}{file}")
        migrate.upgrade(backend, module.TABLES, Path(module.MIGRATIONS))
        backend.engine.dispose()
        return file.read_bytes()
