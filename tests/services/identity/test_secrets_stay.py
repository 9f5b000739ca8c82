"""What proves who somebody is stays out of the database, the log, and what errors say."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mesh import ids
from mesh.backends import Backend
from mesh.errors import CloudError, to_problem, to_status
from services.identity.tables import TABLES
from tests import postgres
from tests.services.identity.conftest import PASSWORD, Cloud, password_login
from tests.services.identity.delegating import credential, program, program_login
from tests.services.identity.test_credentials import kept
from tests.services.identity.test_ec2_credentials import key, received, signed
from tests.services.identity.test_totp import by_receipt, code, devices, with_code
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import totp_service_pb2 as totp_pb


def dumped(connection: Any) -> str:
    """Every row of every table."""
    tables = TABLES.sorted_tables
    rows = [(table.name, *row) for table in tables for row in connection.execute(select(table))]
    return "\n".join(map(repr, rows))


def copied(backend: Backend) -> bytes:
    """What a copy of the database holds: the file and its log, or what pg_dump writes."""
    if backend.file is not None:
        return b"".join(file.read_bytes() for file in backend.file.parent.glob(f"{backend.file.name}*"))
    url = backend.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return postgres.dump(url, backend.schema or "public")


def forms(secret: bytes) -> list[bytes]:
    """How a secret may be written: as it is, in hexadecimal as pg_dump writes bytes, or in base64."""
    return [secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")[:-1]]


async def told(call: Any) -> str:
    """All that the failure of a call says, in both of its forms."""
    with pytest.raises(CloudError) as caught:
        await call
    return f"{to_status(caught.value)} {to_problem(caught.value)} {caught.value!r}"


async def test_what_proves_who_one_is_is_in_no_table_log_or_error(
    either: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ann, _ = await either.member("ann")
    id, anybody = ann.info.user_id, either.nobody().tokens
    robot = await credential(ann, description="a word that is to be found", request_id=ids.new())
    pair = await key(ann, request_id=ids.new())
    mine = await kept(ann, "a secret of ann's", request_id=ids.new())
    make = totp_pb.CreateTotpRequest(user_id=id, password=PASSWORD, request_id=ids.new())
    device = await devices(ann).CreateTotp(make)
    shown = code(device)
    await devices(ann).ConfirmTotp(totp_pb.ConfirmTotpRequest(user_id=id, totp_code=shown))
    with pytest.raises(CloudError) as caught:
        await anybody.CreateToken(password_login("ann"))
    receipt = caught.value.metadata["receipt"]
    tokens = [ann.token, (await program(either, robot)).token]
    tokens.append((await received(either, signed(pair.access_key, pair.secret))).token)
    said = [
        await told(anybody.CreateToken(program_login(robot, id=ids.new()))),
        await told(anybody.CreateToken(program_login(robot, id="", name="robot"))),
        await told(anybody.CreateToken(by_receipt(receipt, shown))),
        await told(anybody.CreateToken(by_receipt(receipt, "not six digits"))),
        await told(anybody.CreateToken(with_code(shown, password=f"{PASSWORD} almost"))),
        await told(received(either, signed("no-such-key", pair.secret))),
        await told(anybody.CreateToken(token_pb.CreateTokenRequest(token={"token": tokens[0] + "x"}))),
    ]
    said.append(await either.runtime.database.read(dumped))
    said.append("\n".join(record.getMessage() + str(record.__dict__) for record in caplog.records))
    everything = "\n".join(said)
    secrets = (PASSWORD, robot.secret, pair.secret, mine.blob, device.secret, device.uri, receipt, *tokens)
    copy = copied(either.runtime.database.backend)
    for secret in secrets:
        assert secret not in everything
    for secret in (base64.b32decode(device.secret), *(secret.encode() for secret in secrets)):
        assert [form for form in forms(secret) if form in copy] == []
    for word in ("a word that is to be found", robot.id, "UNAUTHENTICATED", "INVALID_ARGUMENT"):
        assert word in everything
    for word in ("a word that is to be found", robot.id, id):
        assert word.encode() in copy


def files(directory: Path, suffix: str) -> list[Path]:
    """Those of this kind, below too."""
    return [path for path in directory.rglob(f"*{suffix}") if path.is_file()]


async def test_keys_are_files_that_nobody_else_reads(world: Cloud) -> None:
    keys = files(world.runtime.settings.state / "identity", ".key")
    assert {path.name for path in keys} >= {"sealing.key"}
    assert len(keys) >= 2
    assert [path for path in keys if path.stat().st_mode & 0o077] == []
