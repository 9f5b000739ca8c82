"""What tests of compute share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from mesh import ids, settings
from mesh.certificates import Authority
from mesh.settings import Settings
from tests.services.compute.cloud import Cloud, cloud_of


@pytest.fixture
def environ(state: Path) -> dict[str, str]:
    """Every service on a unix socket of the test's own."""
    found = {"WEFT_CLOUD__STATE": str(state), "WEFT_CLOUD__LOG_FORMAT": "text"}
    for name in settings.PORTS:
        found[f"WEFT_SERVICES__{name.upper()}__ADDRESS"] = f"unix:{state}/run/{name}.sock"
    return found


@pytest.fixture
def cloud(environ: dict[str, str]) -> Settings:
    """Settings on SQLite."""
    return settings.load(environ=environ)


@pytest.fixture
async def compute(cloud: Settings, authority: Authority) -> AsyncIterator[Cloud]:
    """A compute service with two fake hosts."""
    async with cloud_of(cloud, authority) as running:
        yield running


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    name = f"compute_{ids.new().replace('-', '')}"
    engine = sqlalchemy.create_engine(
        postgres_url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    yield postgres_url.replace("/postgres?", f"/{name}?")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
async def compute_on_both(
    request: pytest.FixtureRequest, environ: dict[str, str], authority: Authority
) -> AsyncIterator[Cloud]:
    """The same, once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        environ["WEFT_DATABASE__URL"] = request.getfixturevalue("postgres_database")
    async with cloud_of(settings.load(environ=environ), authority) as running:
        yield running
