"""A real gateway before real services: processes of their own, as in production."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mesh.settings import PORTS
from tests import memory

_START = 120.0


@dataclass
class Cloud:
    """A cloud of some services behind a gateway."""

    state: Path
    url: str
    address: str
    environ: dict[str, str]

    @property
    def ca(self) -> Path:
        return self.state / "pki" / "ca.crt"

    @property
    def password(self) -> str:
        return (self.state / "identity" / "admin-password").read_text().strip()

    def client(self, token: str = "") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        trust = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(base_url=self.url, verify=trust, headers=headers, timeout=20)

    def login(self, user: str = "admin", password: str = "", **scope: object) -> str:
        """A token, by REST."""
        body: dict[str, object] = {"password": {"user_name": user, "password": password or self.password}}
        if scope:
            body["scope"] = scope
        with self.client() as client:
            answer = client.post("/identity/v1/tokens", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["token"]

    def member_of_a_new_project(self, name: str) -> str:
        """A token of an ordinary user with a project of their own."""
        with self.client(self.login(system=True)) as admin:
            project = admin.post("/identity/v1/projects", json={"name": name}).json()
            secret = f"password of {name}"
            user = admin.post("/identity/v1/users", json={"name": name, "password": secret}).json()
            grant = {"user_id": user["id"], "role_name": "member", "project_id": project["id"]}
            assert admin.post("/identity/v1/assignments:grant", json=grant).status_code == 200
        return self.login(name, secret, project_id=project["id"])


def _ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _environ(state: Path) -> dict[str, str]:
    ports = _ports(len(PORTS) + 4)
    environ = {**os.environ, "WEFT_CLOUD__STATE": str(state), "WEFT_CLOUD__LOG_FORMAT": "text"}
    for name in PORTS:
        environ[f"WEFT_SERVICES__{name.upper()}__ADDRESS"] = f"127.0.0.1:{ports.pop()}"
    for key in ("ADDRESS", "DIALECTS", "ADMIN"):
        environ[f"WEFT_GATEWAY__{key}"] = f"127.0.0.1:{ports.pop()}"
    environ["WEFT_NODE__ADDRESS"] = f"127.0.0.1:{ports.pop()}"
    environ["WEFT_NODE__HYPERVISOR"] = "simulated"
    environ["WEFT_IMAGE__IMPORT_FROM"] = '["127.0.0.1/32"]'
    environ["WEFT_NODE__JOIN_TOKEN_FILE"] = str(state / "join-token")
    return environ


def _serves(cloud: Cloud) -> bool:
    """Whether every service answers. Without a token: the one that starts last refuses, once it is there."""
    try:
        with cloud.client() as client:
            keys = client.get("/identity/v1/keys").status_code
            return (keys, client.get("/compute/v1/servers").status_code) == (200, 401)
    except (httpx.HTTPError, OSError):
        return False


def _has_a_host(cloud: Cloud) -> bool:
    """Whether a host is known to compute, network and block."""
    with cloud.client(cloud.login(system=True)) as system:
        return all(any(system.get(path).json().values()) for path in ("/compute/v1/hosts", "/block/v1/pools"))


def _join_token(cloud: Cloud) -> None:
    """A token in the file that the settings name, for the host to join with."""
    with cloud.client(cloud.login(system=True)) as system:
        answer = system.post("/identity/v1/join-tokens", json={"name": "h", "address": cloud.address})
    assert answer.status_code == 200, answer.text
    Path(cloud.environ["WEFT_NODE__JOIN_TOKEN_FILE"]).write_text(answer.json()["text"])


@contextmanager
def _running(cloud: Cloud, *commands: list[str], ready: Callable[[Cloud], bool]) -> Iterator[Cloud]:
    """Processes of a cloud, within the block."""
    processes = [
        subprocess.Popen([sys.executable, "-m", *command], env=cloud.environ, stdin=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        ends = time.monotonic() + _START
        while not ready(cloud):
            assert all(process.poll() is None for process in processes), "a process ended"
            assert time.monotonic() < ends, "the cloud did not become ready"
            time.sleep(0.2)
        yield cloud
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(processes):
            process.wait(30)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """Every service behind a gateway, and a simulated host: real flows, no guests."""
    with tempfile.TemporaryDirectory(dir=memory.folder()) as folder:
        environ = _environ(Path(folder))
        address = environ["WEFT_GATEWAY__ADDRESS"]
        cloud = Cloud(Path(folder), f"https://{address}", address, environ)
        with _running(cloud, ["services"], ["gateway"], ready=_serves):
            _join_token(cloud)
            with _running(cloud, ["node"], ready=_has_a_host):
                yield cloud


@contextmanager
def gateway_without(cloud: Cloud, service: str) -> Iterator[Cloud]:
    """Another gateway of the same cloud, from which one service cannot be reached."""

    def answers(apart: Cloud) -> bool:
        try:
            with apart.client() as client:
                return client.get("/identity/v1/keys").status_code == 200
        except (httpx.HTTPError, OSError):
            return False

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(cloud.state / "pki", Path(folder) / "pki")
        gateway = {key: value for key, value in _environ(Path(folder)).items() if "GATEWAY" in key}
        environ = {**cloud.environ, **gateway, "WEFT_CLOUD__STATE": folder}
        environ[f"WEFT_SERVICES__{service.upper()}__ADDRESS"] = f"127.0.0.1:{_ports(1)[0]}"
        address = environ["WEFT_GATEWAY__ADDRESS"]
        apart = Cloud(Path(folder), f"https://{address}", address, environ)
        with _running(apart, ["gateway"], ready=answers):
            yield apart


@pytest.fixture(scope="session")
def admin(cloud: Cloud) -> Iterator[httpx.Client]:
    """REST as the administrator's own project."""
    with cloud.client(cloud.login()) as client:
        yield client


@pytest.fixture(scope="session")
def member(cloud: Cloud) -> Iterator[httpx.Client]:
    """REST as an ordinary user of another project."""
    with cloud.client(cloud.member_of_a_new_project("gateway-member")) as client:
        yield client
