"""What there is: the services' rows of one moment, the hosts' ledgers, guests, files and kernel objects."""

import asyncio
import hashlib
import json
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cli.cloud import spaces
from node.guest.libvirtd import Libvirtd
from tests.chaos.cloud import ChaosCloud
from weft.node.v1.resources_pb2 import GuestSpec

Row = dict[str, Any]
# Services that have operations.
OPERATED = ("compute", "block", "identity", "image", "network")
_LIVE = "('PENDING', 'RUNNING', 'UNWINDING')"
_QUERIES = {
    "servers": "SELECT * FROM compute.servers",
    "hosts": "SELECT * FROM compute.hosts",
    "volumes": "SELECT * FROM block.volumes",
    "pools": "SELECT * FROM block.pools",
    "attachments": "SELECT * FROM block.attachments",
    "ports": "SELECT * FROM network.ports",
    "fixed_ips": "SELECT f.*, p.network_id FROM network.fixed_ips f JOIN network.ports p ON p.id = f.port_id",
    "floating_ips": "SELECT *, description AS name FROM network.floating_ips",
    "routers": "SELECT * FROM network.routers",
    "networks": "SELECT * FROM network.networks",
    "security_groups": "SELECT * FROM network.security_groups",
    "snapshots": "SELECT * FROM block.snapshots",
    "images": "SELECT * FROM image.images",
    "projects": "SELECT * FROM identity.projects",
    "allocations": "SELECT * FROM placement.allocations JOIN placement.consumers c ON c.id = consumer_id",
    "operations": " UNION ALL ".join(
        f"""SELECT '{service}' AS service, id, kind, target_id, state, deadline, committed
            FROM {service}.operations WHERE state IN {_LIVE}"""
        for service in OPERATED
    ),
}


@dataclass
class HostBooks:
    """One host: what its ledger says, and what there is. `running` are guests by server id, True where on;
    the rest is of real hosts alone.
    """

    real: bool = False
    specs: dict[str, GuestSpec] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    exports: dict[str, str] = field(default_factory=dict)
    running: dict[str, bool] = field(default_factory=dict)
    processes: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    guest_folders: set[str] = field(default_factory=set)
    volume_files: set[str] = field(default_factory=set)
    unfinished_files: list[str] = field(default_factory=list)


@dataclass
class Books:
    """Rows by table, hosts by id, and the image store: the digest of what is in each file by the file's name,
    and files that are still written to.
    """

    rows: dict[str, list[Row]]
    hosts: dict[str, HostBooks]
    contents: dict[str, str] = field(default_factory=dict)
    incoming: set[str] = field(default_factory=set)

    def __getattr__(self, table: str) -> list[Row]:
        try:
            return self.__dict__["rows"][table]
        except KeyError:
            raise AttributeError(table) from None

    def by_id(self, table: str) -> dict[str, Row]:
        """The rows of a table."""
        return {row["id"]: row for row in self.rows[table]}


async def read(cloud: ChaosCloud) -> Books:
    """All books. Raises psycopg.OperationalError while the database is away."""
    return await asyncio.to_thread(_read, cloud)


def _read(cloud: ChaosCloud) -> Books:
    with psycopg.connect(cloud.database.conninfo, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = {table: connection.execute(query).fetchall() for table, query in _QUERIES.items()}
    names = {row["name"]: row["id"] for row in rows["hosts"]}
    hosts = {names[name]: _host(cloud, name, names[name]) for name in cloud.hosts if name in names}
    store = cloud.state / "images"
    contents = {path.name: _digest(path) for path in store.glob("[0-9a-f][0-9a-f]/*")}
    return Books(rows, hosts, contents, {path.name for path in store.glob("incoming/*")})


def _digest(path: Path) -> str:
    """Of a file, "" where it has just gone."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _host(cloud: ChaosCloud, name: str, host_id: str) -> HostBooks:
    folder = cloud.state / name
    found = HostBooks(real=name in cloud.real)
    with closing(sqlite3.connect(f"file:{folder}/ledger.db?mode=ro", uri=True)) as ledger:
        found.specs = {
            id: GuestSpec.FromString(spec) for id, spec in ledger.execute("SELECT id, spec FROM guests")
        }
        found.volumes = {id for (id,) in ledger.execute("SELECT id FROM volumes")}
        found.exports = dict(ledger.execute("SELECT id, volume_id FROM exports").fetchall())
    if found.real:
        _machine(cloud, name, host_id, found)
    else:
        found.running = _simulated(folder)
    return found


def _simulated(folder: Path) -> dict[str, bool]:
    file = folder / "simulated" / "guests.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {id: guest["state"] == "GUEST_STATE_RUNNING" for id, guest in kept.items()}


def _machine(cloud: ChaosCloud, name: str, host_id: str, found: HostBooks) -> None:
    """What a real host has, as the kernel, libvirt and the file system say."""
    folder, space = cloud.state / name, cloud.layout.space(name)
    uri = Libvirtd(folder / "libvirt", host_id).uri
    on = set(_virsh(uri, "--state-running"))
    found.running = {domain.removeprefix("weft-"): domain in on for domain in _virsh(uri, "--all")}
    found.processes = [_comm(pid) for pid in spaces.processes(space)]
    links = json.loads(_output("ip", "-n", space, "-json", "link"))
    found.links = {link["ifname"] for link in links}
    ours = spaces.of_agents(cloud.layout)
    found.namespaces = {each for each in ours if each.endswith(f"-{host_id[:8]}")}
    found.guest_folders = {path.name for path in folder.glob("guests/*")}
    found.volume_files = {path.stem for path in folder.glob("volumes/*.raw")}
    found.unfinished_files = [str(path) for path in folder.glob("*/**/*.making")]


def _virsh(uri: str, which: str) -> list[str]:
    return _output("virsh", "--quiet", "-c", uri, "list", "--name", which).split()


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
