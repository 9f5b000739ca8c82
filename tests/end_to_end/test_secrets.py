"""Secrets of people, marked, in a whole cloud that runs: looked for wherever it writes or prints anything."""

import base64
import sqlite3
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.cloud import health
from cli.cloud.processes import parts
from mesh import ids
from mesh.channel import Client, connect
from mesh.errors import CloudError
from tests.end_to_end.clouds import Cloud, Person
from tests.services.identity.test_totp import code
from weft.compute.v1 import key_pair_service_pb2, key_pair_service_pb2_grpc
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1 import token_service_pb2_grpc
from weft.identity.v1 import totp_service_pb2 as totp
from weft.identity.v1 import user_service_pb2 as users
from weft.identity.v1.application_credential_service_pb2 import CreateApplicationCredentialRequest
from weft.identity.v1.application_credential_service_pb2_grpc import ApplicationCredentialServiceStub
from weft.identity.v1.ec2_credential_service_pb2 import CreateEc2CredentialRequest
from weft.identity.v1.ec2_credential_service_pb2_grpc import Ec2CredentialServiceStub
from weft.identity.v1.join_service_pb2 import CreateJoinTokenRequest
from weft.identity.v1.join_service_pb2_grpc import JoinTokenServiceStub
from weft.identity.v1.totp_service_pb2_grpc import TotpServiceStub
from weft.identity.v1.user_service_pb2_grpc import UserServiceStub

# Long enough to be nowhere by chance, and in the middle of the secret, so that base64 of it is found too.
MARK = "5ecre7Mark"


def marked(what: str) -> str:
    """A secret of that kind."""
    return f"{what}-{MARK}-{ids.new()}"


@dataclass
class Told:
    """The secrets that were told to the cloud, and what it said when it refused something."""

    password: str = field(default_factory=lambda: marked("password"))
    newer: str = field(default_factory=lambda: marked("newer"))
    newest: str = field(default_factory=lambda: marked("newest"))
    guess: str = field(default_factory=lambda: marked("guess"))
    user_data: str = field(default_factory=lambda: marked("user-data"))
    tokens: list[str] = field(default_factory=list)
    private_key: str = ""
    made: dict[str, bytes] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def secrets(self) -> dict[str, bytes]:
        """What to look for, by what it is. Of a token the signature: the rest is claims, and no secret."""
        found = {
            name: getattr(self, name).encode()
            for name in ("password", "newer", "newest", "guess", "user_data")
        }
        found |= {f"token {n}": token.rpartition(".")[2].encode() for n, token in enumerate(self.tokens)}
        lines = self.private_key.splitlines()
        return found | self.made | {"private key": max(lines[1:-1], key=len).encode()}

    async def refused(self, call: Any) -> None:
        """Remember all that the refusal says."""
        with pytest.raises(CloudError) as caught:
            await call
        error = caught.value
        cause = error.__cause__
        said = (error.message, error.metadata, error.fields, repr(error), repr(cause))
        self.refusals.append(" ".join(map(str, said)))


async def tell_all(cloud: Cloud, person: Person) -> Told:
    """Log in rightly and wrongly, change passwords, make keys and a server with user data."""
    told, name = Told(), ids.new()
    async with await health.administrator(cloud.layout) as admin:
        stub = admin.stub(UserServiceStub)
        user = await stub.CreateUser(users.CreateUserRequest(name=name, password=told.password))
        told.tokens.append(str(admin.token))
        again = users.CreateUserRequest(name=name, password=told.guess)
        await told.refused(stub.CreateUser(again))
        async with connect(cloud.layout.endpoint, cloud.layout.ca) as anybody:
            await passwords(told, name, anybody.stub(token_service_pb2_grpc.TokenServiceStub))
        await stub.SetPassword(users.SetPasswordRequest(id=user.id, password=told.newest))
        await joining(told, admin)
        await coding(told, admin)
    await credentials(told, person)
    pairs = person.client.stub(key_pair_service_pb2_grpc.KeyPairServiceStub)
    made = await pairs.CreateKeyPair(
        key_pair_service_pb2.CreateKeyPairRequest(name=name, request_id=ids.new())
    )
    told.private_key = made.private_key
    await servers(told, person)
    by_rest(told, cloud, name)
    return told


async def passwords(told: Told, name: str, own: token_service_pb2_grpc.TokenServiceStub) -> None:
    right = tokens.PasswordCredential(user_name=name, password=told.password)
    wrong = tokens.PasswordCredential(user_name=name, password=told.guess)
    told.tokens.append((await own.CreateToken(tokens.CreateTokenRequest(password=right))).token)
    last = tokens.TokenCredential(token=told.tokens[-1])
    told.tokens.append((await own.CreateToken(tokens.CreateTokenRequest(token=last, scope={}))).token)
    await told.refused(own.CreateToken(tokens.CreateTokenRequest(password=wrong)))
    broken = tokens.TokenCredential(token=told.tokens[-1] + "A")
    await told.refused(own.CreateToken(tokens.CreateTokenRequest(token=broken)))
    await own.ChangePassword(tokens.ChangePasswordRequest(user=right, password=told.newer))
    await told.refused(own.ChangePassword(tokens.ChangePasswordRequest(user=right, password=told.newest)))
    too_long = tokens.ChangePasswordRequest(user=right, password=told.newest * 100)
    await told.refused(own.ChangePassword(too_long))


async def joining(told: Told, admin: Client) -> None:
    """A machine may become a host by what this says."""
    request = CreateJoinTokenRequest(name="marked", request_id=ids.new())
    text = (await admin.stub(JoinTokenServiceStub).CreateJoinToken(request)).text
    told.made["join token"] = text[-32:].encode()


async def coding(told: Told, admin: Client) -> None:
    """Somebody has a device that makes one-time codes by this."""
    name, devices = ids.new(), admin.stub(TotpServiceStub)
    coder = users.CreateUserRequest(name=name, password=told.newest)
    user = await admin.stub(UserServiceStub).CreateUser(coder)
    device = await devices.CreateTotp(totp.CreateTotpRequest(user_id=user.id, request_id=ids.new()))
    told.made["codes"] = device.secret.encode()
    told.made["codes, as bytes"] = base64.b32decode(device.secret)
    await devices.ConfirmTotp(totp.ConfirmTotpRequest(user_id=user.id, totp_code=code(device)))
    anybody = admin.stub(token_service_pb2_grpc.TokenServiceStub)
    right = tokens.PasswordCredential(user_name=name, password=told.newest)
    wrong = tokens.CreateTokenRequest(password=right, totp_code=code(device, 99))
    await told.refused(anybody.CreateToken(wrong))
    answer = await anybody.CreateToken(tokens.CreateTokenRequest(password=right, totp_code=code(device, 1)))
    told.tokens.append(answer.token)


async def credentials(told: Told, person: Person) -> None:
    """What programs log in with, each told once in an answer that is kept for who asks again."""
    programs = person.client.stub(ApplicationCredentialServiceStub)
    wanted = CreateApplicationCredentialRequest(name="marked", request_id=ids.new())
    program = await programs.CreateApplicationCredential(wanted)
    told.made["application credential"] = program.secret.encode()
    anybody = person.client.stub(token_service_pb2_grpc.TokenServiceStub)
    said = {"id": program.id, "secret": program.secret}
    answer = await anybody.CreateToken(tokens.CreateTokenRequest(application_credential=said))
    told.tokens.append(answer.token)
    wrong = {"id": program.id, "secret": told.guess}
    await told.refused(anybody.CreateToken(tokens.CreateTokenRequest(application_credential=wrong)))
    signing = person.client.stub(Ec2CredentialServiceStub)
    made = await signing.CreateEc2Credential(CreateEc2CredentialRequest(request_id=ids.new()))
    told.made["EC2 credential"] = made.secret.encode()
    await told.refused(anybody.CreateToken(tokens.CreateTokenRequest(id_token={"token": told.guess})))


async def servers(told: Told, person: Person) -> None:
    """One that runs and one that is refused, with the same user data."""
    wish = {"flavor_id": await person.flavor(), "image_id": await person.image()}
    with_data = {"user_data": told.user_data.encode(), **wish}
    network = await person.network("10.9.0.0/24")
    server = await person.boot(name="marked", networks=[{"network_id": network}], **with_data)
    await told.refused(person.boot(name="refused", networks=[{"network_id": ids.new()}], **with_data))
    await person.delete(server.id)
    await person.boot(name="marked again", networks=[{"network_id": network}], **with_data)


def by_rest(told: Told, cloud: Cloud, name: str) -> None:
    """The same through the door for REST, and what no contract can read."""
    url = f"https://{cloud.layout.endpoint}"
    newest = {"user_name": name, "password": told.newest}
    trust = ssl.create_default_context(cafile=str(cloud.layout.ca))
    with httpx.Client(base_url=url, verify=trust, timeout=20) as client:
        right = client.post("/identity/v1/tokens", json={"password": newest})
        assert right.status_code == 200
        told.tokens.append(right.json()["token"])
        for body in (
            {"password": {**newest, "password": told.guess}},
            {"password": {**newest, "password": [told.guess]}},
            {"password": {**newest, "password": {told.guess: 1}}},
            {"password": {**newest, "password": told.guess, "no_such_field": told.guess}},
        ):
            wrong = client.post("/identity/v1/tokens", json=body)
            assert wrong.status_code in (400, 401)
            told.refusals.append(wrong.text + str(wrong.headers))
        bearer = {"authorization": f"Bearer {told.tokens[-1]}x"}
        wrong = client.get("/identity/v1/tokens/current", headers=bearer)
        assert wrong.status_code == 401
        told.refusals.append(wrong.text + str(wrong.headers))
        keystone = {"name": name, "domain": {"id": "default"}, "password": told.guess}
        identity = {"methods": ["password"], "password": {"user": keystone}}
        wrong = client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity}})
        assert wrong.status_code == 401
        told.refusals.append(wrong.text + str(wrong.headers))


def traces_of(secret: bytes) -> Iterator[bytes]:
    """The secret as it would be found: as it is, or within something in base64."""
    yield secret
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + secret)[4:-4]


def found_in(content: bytes, told: Told) -> set[str]:
    """Which secrets the content holds."""
    return {
        name
        for name, secret in told.secrets().items()
        if any(trace in content for trace in traces_of(secret))
    }


def tables_with_secrets(file: Path, told: Told) -> Iterator[tuple[str, str, str]]:
    """Every (table, column, secret) where a database's rows have one."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in names:
            rows = connection.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    content = value if isinstance(value, bytes) else str(value).encode()
                    yield from ((table, column, name) for name in found_in(content, told))


def files_with_secrets(top: Path, told: Told) -> dict[str, set[str]]:
    """Which files, databases aside, have which secrets."""
    found = {}
    for file in top.rglob("*"):
        if file.is_file() and not file.name.endswith((".db", ".db-wal", ".db-shm")):
            names = found_in(file.read_bytes(), told)
            if names:
                found[str(file.relative_to(top))] = names
    return found


def command_lines(cloud: Cloud) -> bytes:
    return b" ".join(
        Path(f"/proc/{part.pid}/cmdline").read_bytes() for part in parts(cloud.layout) if part.pid
    )


def edge(cloud: Cloud) -> bytes:
    """What the gateway's Envoy prints of itself."""
    url = f"http://127.0.0.1:{cloud.layout.ports[2]}"
    return b" ".join(httpx.get(f"{url}/{page}", timeout=20).content for page in ("config_dump", "stats"))


async def test_no_secret_is_in_a_log_a_span_an_event_an_error_or_a_dump(
    simulated: Cloud, guest_image: None
) -> None:
    async with simulated.person("keeper") as person:
        told = await tell_all(simulated, person)
    assert len(told.secrets()) == 17
    assert len(told.refusals) == 15
    assert all(len(secret) >= 20 for secret in told.secrets().values())
    for said in told.refusals:
        assert found_in(said.encode(), told) == set(), said
    state = simulated.layout.state
    databases = {file.stem: set(tables_with_secrets(file, told)) for file in state.rglob("*.db")}
    assert databases.keys() >= {"identity", "compute", "telemetry", "network"}
    # What a tenant gives to a server is kept for it: by compute, and by the host that shows it to the guest.
    assert databases.pop("compute") == {("user_data", "content", "user_data")}
    assert databases.pop("ledger") == {("guests", "spec", "user_data")}
    assert {name: found for name, found in databases.items() if found} == {}
    assert files_with_secrets(state, told) == {}
    assert found_in(command_lines(simulated), told) == set()
    assert found_in(edge(simulated), told) == set()


def test_a_secret_that_is_written_somewhere_would_be_found(tmp_path: Path) -> None:
    told = Told(private_key="-\n0123456789\n-")
    (tmp_path / "log").write_text(f"logged in with {told.password}")
    inside = base64.b64encode(f"{{'password': '{told.guess}'}}".encode())
    (tmp_path / "spans").write_bytes(inside)
    assert files_with_secrets(tmp_path, told) == {"log": {"password"}, "spans": {"guess"}}
    with sqlite3.connect(tmp_path / "some.db") as connection:
        connection.execute("CREATE TABLE t (a TEXT, b BLOB)")
        connection.execute("INSERT INTO t VALUES (?, ?)", (told.newer, told.user_data.encode()))
    assert set(tables_with_secrets(tmp_path / "some.db", told)) == {
        ("t", "a", "newer"),
        ("t", "b", "user_data"),
    }
