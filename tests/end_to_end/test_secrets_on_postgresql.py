"""The same secrets in a cloud on PostgreSQL: looked for in its dump, and in the server's own log."""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy

from services.__main__ import SERVICES
from tests import postgres
from tests.end_to_end.clouds import cloud
from tests.end_to_end.test_secrets import Told, files_with_secrets, tell_all, traces_of


def lines_with_secrets(dump: bytes, told: Told) -> Iterator[tuple[str, str]]:
    """Every (table, secret) where a dump made of INSERTs has one: as it is, in base64, or in hexadecimal."""
    for line in dump.splitlines():
        for name, secret in told.secrets().items():
            if any(trace in line for each in traces_of(secret) for trace in (each, each.hex().encode())):
                yield line.split()[2].decode(), name


def log_of(url: sqlalchemy.URL) -> bytes:
    """What the server has logged."""
    return Path(str(url.query["host"]), "log").read_bytes()


async def test_no_secret_is_in_a_dump_of_postgresql_or_in_its_log(guest_image: None) -> None:
    with postgres.cluster() as url:
        with cloud(hypervisor="simulated", more=(f"database.url={url}",)) as made:
            async with made.person("keeper") as person:
                told = await tell_all(made, person)
            bare = sqlalchemy.make_url(url).set(drivername="postgresql")
            said = bare.render_as_string(hide_password=False)
            dumps = {name: postgres.dump(said, name) for name in SERVICES}
            found = {name: set(lines_with_secrets(dump, told)) for name, dump in dumps.items()}
            files = files_with_secrets(made.layout.state, told)
        log = log_of(bare)
    assert all(b"INSERT INTO" in dump for dump in dumps.values())
    assert found.pop("compute") == {("compute.user_data", "user_data")}
    assert {name: tables for name, tables in found.items() if tables} == {}
    assert files == {}
    assert b"ready to accept connections" in log
    assert not [name for name, secret in told.secrets().items() if any(t in log for t in traces_of(secret))]
