"""A cloud of real processes, two of each service, on a real PostgreSQL, every cable in our hands."""

import asyncio
import json
import os
import shutil
import socket
import sys
from pathlib import Path

from cli.cloud import down, spaces
from cli.cloud.layout import UNDERLAY, Layout
from cli.serve import command
from mesh.certificates import Authority
from mesh.settings import PORTS
from tests.chaos.cables import TO_CONTROL, TO_HOST, Cable
from tests.chaos.parts import Part, Supervisor
from tests.joined import joined
from tests.postgres import Cluster

REPLICAS = ("control-a", "control-b")


class ChaosCloud:
    """`simulated` hosts in no namespace at all, and `real` ones in one of their own each, whose guests QEMU
    runs. Real hosts are h1 and on.
    """

    def __init__(self, state: Path, simulated: int, real: int) -> None:
        self.state = state
        self.real = [f"h{number}" for number in range(1, real + 1)]
        self.hosts = [f"h{number}" for number in range(1, real + simulated + 1)]
        for name in ("run", "log"):
            (state / name).mkdir(parents=True)
        self.database = Cluster(_folder(state / "pg"))
        self._ports = free_ports(len(PORTS) * len(REPLICAS) * (1 + simulated) + 3)
        self._listens = {name: {s: self._port() for s in PORTS} for name in REPLICAS}
        self.gateway_ports = [self._ports.pop() for _ in range(3)]
        self.layout = Layout(state, real, "tcg", self.gateway_ports[0])
        self.cables: dict[str, Cable] = {}
        self.parts: dict[str, Part] = {}
        self.restarts: list[str] = []
        self._supervising: asyncio.Task[None] | None = None

    def listens(self, replica: str, service: str) -> str:
        """Where a replica of a service listens."""
        return self._listens[replica][service]

    async def start(self) -> None:
        """Begin everything."""
        await asyncio.to_thread(self.database.start)
        (self.state / "weft.toml").write_text(self._settings())
        if self.real:
            await asyncio.to_thread(spaces.make, self.layout)
        for name in REPLICAS:
            listens = {service: [at] for service, at in self._listens[name].items()}
            self._part(name, command("control"), _services(LISTEN=listens))
        self._part("gateway", command("gateway"), {})
        for name in self.hosts:
            await self._host(name)
        # The first replica alone makes what a cloud begins with: keys, roles, the first administrator.
        self.parts["control-a"].start()
        await self.until_listening("control-a")
        for part in self.parts.values():
            part.start()
        await self.until_listening("control-b")
        supervisor = Supervisor(list(self.parts.values()), self.restarts.append)
        self._supervising = asyncio.create_task(supervisor.run())

    async def stop(self) -> None:
        """End everything; only files are left."""
        if self._supervising:
            self._supervising.cancel()
        for part in self.parts.values():
            part.resume()
        await asyncio.gather(*(part.end() for part in self.parts.values()))
        for cable in self.cables.values():
            await cable.close()
        if self.real:
            await asyncio.to_thread(self._end_hosts)
        await asyncio.to_thread(self.database.stop)

    def purge(self) -> None:
        """Delete the files too."""
        shutil.rmtree(self.state)

    async def until_listening(self, replica: str) -> None:
        """Wait until every service of a replica takes connections."""
        async with asyncio.timeout(120):
            for at in self._listens[replica].values():
                while not _answers(at):  # noqa: ASYNC110 - nobody tells us
                    await asyncio.sleep(0.1)

    def _end_hosts(self) -> None:
        down._end_hosts(self.layout)
        spaces.remove(self.layout)

    def _part(self, name: str, words: list[str], environ: dict[str, str]) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
        clean |= {"WEFT_CONFIG": str(self.state / "weft.toml"), **environ}
        self.parts[name] = Part(name, words, clean, self.state / "log" / f"{name}.log")

    async def _host(self, name: str) -> None:
        """A host's process and its cable: both sides know the other by the cable's ends."""
        cable = self.cables[name] = Cable()
        own, known = (f"unix:{self.state}/run/{name}{end}.sock" for end in ("-agent", ""))
        await cable.carry(TO_HOST, known, [own])
        dialled = {}
        for service in PORTS:
            targets = [self._listens[replica][service] for replica in REPLICAS]
            dialled[service] = await self._cable_ends(cable, name, service, targets)
        number = self.hosts.index(name)
        joined(self.state / name, Authority.open_or_create(self.state / "pki"))
        environ = _services(ADDRESS=dialled) | {
            "WEFT_NODE__NAME": name,
            "WEFT_NODE__STATE": str(self.state / name),
            "WEFT_NODE__ADDRESS": known,
            "WEFT_NODE__LISTEN": json.dumps([own]),
            "WEFT_NODE__VTEP_ADDRESS": f"{UNDERLAY}.{10 + number}",
        }
        words = command("node")
        if name in self.real:
            one = 1 / (os.cpu_count() or 1)  # processor: one small guest at a time
            environ |= {"WEFT_NODE__HYPERVISOR": "tcg", "WEFT_NODE__VCPU_RATIO": str(one)}
            words = [*spaces.enter(self.layout.space(name)), *words]
        self._part(name, words, environ)

    async def _cable_ends(self, cable: Cable, name: str, service: str, targets: list[str]) -> str:
        """What a host dials: in a namespace of its own only a socket file can be reached, one for all."""
        if name in self.real:
            end = f"unix:{self.state}/run/{name}-{service}.sock"
            await cable.carry(TO_CONTROL, end, targets)
            return end
        ends = [self._port() for _ in targets]
        for end, target in zip(ends, targets, strict=True):
            await cable.carry(TO_CONTROL, end, [target])
        return ",".join(ends)

    def _port(self) -> str:
        return f"127.0.0.1:{self._ports.pop()}"

    def _settings(self) -> str:
        tables = {
            "cloud": {"state": str(self.state), "log_format": "text"},
            "database": {"url": self.database.url},
            "gateway": {
                key: f"127.0.0.1:{port}"
                for key, port in zip(("address", "dialects", "admin"), self.gateway_ports, strict=True)
            },
            "node": {"hypervisor": "simulated"},
            "image": {"import_from": ["127.0.0.1/32"]},
            "tracing": {"sample": 0.05},
        }
        for service in PORTS:
            listens = [self._listens[name][service] for name in REPLICAS]
            tables[f"services.{service}"] = {"address": ",".join(listens)}
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)


def _services(**values: dict) -> dict[str, str]:  # type: ignore[type-arg]
    """Environment variables that set `ADDRESS` or `LISTEN` of each service."""
    return {
        f"WEFT_SERVICES__{service.upper()}__{key}": value if isinstance(value, str) else json.dumps(value)
        for key, by_service in values.items()
        for service, value in by_service.items()
    }


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, below those that the kernel gives to connections.

    Clouds that begin at one time look for theirs far from one another.
    """
    found: list[int] = []
    for port in range(20000 + os.getpid() * 101 % 10000, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"there are no {count} free ports (python {sys.version})")
