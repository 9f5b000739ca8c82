"""What tests of every room may ask for."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy
from sqlalchemy import MetaData

from mesh import ids, settings, tables
from mesh.certificates import Authority
from mesh.database import Database
from tests import memory, postgres

# What pytest's tmp_path is below.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory.folder())
# How long an example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile("weft", deadline=None)
hypothesis.settings.load_profile("weft")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of the test's own."""
    return tmp_path / "state"


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Answers a TCP port of loopback that nobody listens on."""

    def pick() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return pick


@pytest.fixture
def cloud(state: Path, free_port: Callable[[], int]) -> settings.Settings:
    """Settings with every address on a free port and all state in the test's directory."""
    # Spans have nowhere to go in most tests, and waiting for a collector would cost each a second.
    environ = {"WEFT_CLOUD__STATE": str(state), "WEFT_TRACING__ENABLED": "false"}
    for name in settings.PORTS:
        environ[f"WEFT_SERVICES__{name.upper()}__ADDRESS"] = f"127.0.0.1:{free_port()}"
    for key in ("ADDRESS", "DIALECTS", "ADMIN"):
        environ[f"WEFT_GATEWAY__{key}"] = f"127.0.0.1:{free_port()}"
    environ["WEFT_NODE__ADDRESS"] = f"127.0.0.1:{free_port()}"
    return settings.load(environ=environ)


@pytest.fixture
def authority(cloud: settings.Settings) -> Authority:
    """The cloud's certificate authority."""
    return Authority.open_or_create(cloud.state / "pki", cloud=cloud.cloud.name)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL database that lives as long as the tests."""
    with postgres.cluster() as url:
        yield url


@pytest.fixture
def postgres_schema(postgres_url: str) -> Iterator[str]:
    """A PostgreSQL URL whose search_path is a schema of the test's own."""
    name = f"test_{ids.new().replace('-', '')}"
    yield f"{postgres_url}&options=-csearch_path%3D{name}"
    engine = sqlalchemy.create_engine(postgres_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return request.getfixturevalue("postgres_schema")


@pytest.fixture
def metadata() -> MetaData:
    """The tables of `database`; a test module overrides it to add its own."""
    metadata = MetaData()
    tables.add_to(metadata)
    return metadata


@pytest.fixture
async def database(database_url: str, metadata: MetaData) -> AsyncIterator[Database]:
    """An open database with the mesh's tables and those of `metadata`, on SQLite and on PostgreSQL."""
    database = Database.open(database_url, metadata, None)
    yield database
    await database.close()
