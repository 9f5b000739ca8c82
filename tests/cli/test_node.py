"""A machine becomes a host of a real cloud by a join token, with no authority's key in its reach."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mesh import certificates, joining
from mesh.channel import connect
from mesh.errors import CloudError
from mesh.settings import PORTS
from tests.cli.conftest import Cloud, as_administrator
from weft.compute.v1.host_service_pb2 import HeartbeatRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0


@dataclass
class Machine:
    """A machine beside the cloud's own: nothing of the cloud's state is in its directory."""

    cloud: Cloud
    folder: Path

    @property
    def name(self) -> str:
        """Another one for each test: the cloud remembers hosts."""
        return self.folder.name

    @property
    def state(self) -> Path:
        return self.folder / "node"

    def token(self, **options: str) -> Path:
        """A file with a new join token."""
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        made = as_administrator(self.cloud, "join-token", "create", self.name, *words, "-o", "json")
        assert made.status == 0, made.err
        file = self.folder / "token"
        file.write_text(made.json["text"])
        return file

    @contextmanager
    def agent(self, **settings: str) -> Iterator["subprocess.Popen[str]"]:
        """The agent's process, within the block."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("WEFT_")} | {
            "WEFT_CLOUD__STATE": str(self.folder / "cloud"),
            "WEFT_CLOUD__LOG_FORMAT": "text",
            "WEFT_NODE__STATE": str(self.state),
            "WEFT_NODE__NAME": self.name,
            "WEFT_NODE__HYPERVISOR": "simulated",
            "WEFT_NODE__ADDRESS": f"unix:{self.folder}/second.sock",
            **{f"WEFT_SERVICES__{s.upper()}__ADDRESS": self.cloud.layout.socket(s) for s in PORTS},
            **settings,
        }
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "node"], cwd=ROOT, env=environ, stdout=log, stderr=log, text=True
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def status(self) -> str:
        """How compute says that the host is."""
        answer = as_administrator(self.cloud, "host", "list", "-o", "json").json
        return next((host["status"] for host in answer if host["name"] == self.name), "")

    def retire(self) -> None:
        """Nothing is to be put on it any more: it seems to be UP for a while after its agent has ended."""
        for resource, key in (("host", "id"), ("pool", "host_id")):
            listed = as_administrator(self.cloud, resource, "list", "-o", "json").json
            for each in listed:
                if each[key] == joining.host_of(self.state):
                    done = as_administrator(self.cloud, resource, "update", each["id"], "--disabled")
                    assert done.status == 0, done.err

    def beat(self) -> str:
        """What compute says to a sign of life with the host's certificate: a reason, or ""."""

        async def call() -> str:
            holder = joining.joined(self.state)
            assert holder is not None
            compute = self.cloud.layout.socket("compute")
            name = "compute.weft.internal"
            async with connect(compute, holder.directory / "ca.crt", leaf=holder, server_name=name) as client:
                request = HeartbeatRequest(id=joining.host_of(self.state), epoch=1 << 40)
                try:
                    await client.stub(HostServiceStub).Heartbeat(request)
                except CloudError as error:
                    return error.reason
            return ""

        return asyncio.run(call())


def _until(done: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + _PATIENCE
    while not done():
        assert time.monotonic() < ends, what
        time.sleep(0.2)


@pytest.fixture
def machine(cloud: Cloud, tmp_path: Path) -> Iterator[Machine]:
    there = Machine(cloud, tmp_path)
    yield there
    there.retire()


def test_a_machine_without_a_token_is_no_host_and_says_what_to_do(machine: Machine) -> None:
    with machine.agent() as agent:
        assert agent.wait(_PATIENCE) == 78
    assert "weft join-token create" in (machine.folder / "log").read_text()


def test_a_token_makes_a_host_that_outlives_restarts_until_it_is_revoked(machine: Machine) -> None:
    token = machine.token()
    with machine.agent(WEFT_NODE__JOIN_TOKEN_FILE=str(token)):
        _until(lambda: machine.status() == "UP", "the host never registered")
    host_id = joining.host_of(machine.state)
    assert not list(machine.folder.rglob("ca.key"))
    token.unlink()
    assert machine.beat() != "JOIN_REFUSED"
    with machine.agent() as agent:
        _until(lambda: "registered as host" in (machine.folder / "log").read_text(), "it is no host any more")
        found = as_administrator(machine.cloud, "join-token", "list", "--host-id", host_id, "-o", "json").json
        as_administrator(machine.cloud, "join-token", "revoke", found[0]["id"])
        _until(lambda: machine.beat() == "JOIN_REFUSED", "a revoked host is still heard")
        _until(lambda: "was revoked" in (machine.folder / "log").read_text(), "the agent does not say why")
        assert agent.poll() is None  # guests need it, whatever the cloud thinks of it


def test_a_host_that_was_off_for_longer_than_its_certificate_comes_back_by_itself(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = machine.token()
    join = ("node", "join", "--token-file", str(token), "--state", str(machine.state))
    assert machine.cloud.run(*join).status == 0
    holder = joining.joined(machine.state)
    assert holder is not None
    monkeypatch.setattr(certificates, "LEAF_LIFE", timedelta(minutes=-1))
    authority = certificates.Authority(machine.cloud.layout.state / "pki", "weft")
    key = x509.load_pem_x509_certificate(holder.pair().chain).public_key()
    holder.take(authority.sign(key, holder.identity))  # type: ignore[arg-type]
    assert joining.joined(machine.state) is None
    with machine.agent():
        _until(lambda: machine.status() == "UP", "the host never came back")
    assert joining.joined(machine.state) is not None


def test_a_used_token_does_not_make_a_second_machine_a_host(machine: Machine) -> None:
    token = machine.token()
    assert (
        machine.cloud.run("node", "join", "--token-file", str(token), "--state", str(machine.state)).status
        == 0
    )
    other = machine.folder / "other"
    again = machine.cloud.run("node", "join", "--token-file", str(token), "--state", str(other))
    assert again.status != 0
    assert "is used" in again.err
    assert joining.host_of(other) == ""


def test_a_host_does_not_become_another_one(machine: Machine) -> None:
    first = machine.token()
    assert (
        machine.cloud.run("node", "join", "--token-file", str(first), "--state", str(machine.state)).status
        == 0
    )
    another = machine.token()
    refused = machine.cloud.run("node", "join", "--token-file", str(another), "--state", str(machine.state))
    assert refused.status == 78
    assert "--host-id" in refused.err


def test_a_gateway_of_another_cloud_is_not_believed(machine: Machine, tmp_path: Path) -> None:
    said = joining.read_token(machine.token())
    foreign = certificates.Authority.open_or_create(tmp_path / "foreign")
    wrong = joining.JoinToken(said.host_id, said.secret, foreign.ca_pem, said.address)
    with pytest.raises(CloudError) as refusal:
        asyncio.run(joining.join(machine.state, wrong))
    assert refusal.value.reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    asyncio.run(joining.join(machine.folder / "right", said))
