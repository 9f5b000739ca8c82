"""What a deleted server could leave behind on the machine and in the books, looked for one by one."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.cloud import health, spaces
from cli.cloud.layout import Layout
from cli.demo.cast import Cast
from cli.demo.guest import run
from cli.demo.stage import Failed
from weft.placement.v1 import allocation_service_pb2 as allocations
from weft.placement.v1 import provider_service_pb2 as providers
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.provider_service_pb2_grpc import ProviderServiceStub

# Hosts converge, and sweeps run, within seconds of what they were told.
_PATIENCE = 30.0
Look = Callable[[Layout], Awaitable[list[str]]]


async def nothing_left(cast: Cast) -> None:
    """Nothing of the story is on the hosts any more. Raises Failed with what there is."""
    looks: dict[str, Look] = {
        "domains": domains,
        "guest processes": guests,
        "taps, bridges and tunnels": links,
        "routers' and metadata's namespaces": namespaces,
        "allocations": allocated,
        "files of guests, volumes and images": files,
    }
    for what, look in looks.items():
        cast.stage.proof(f"{what} that are left", await _settled(look, cast.layout), [])


async def _settled(look: Look, layout: Layout) -> list[str]:
    """What is still there when the hosts had their time to settle."""
    until = time.monotonic() + _PATIENCE
    while (found := await look(layout)) and time.monotonic() < until:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.5)
    return found


async def domains(layout: Layout) -> list[str]:
    """Domains that libvirt knows, on any host."""
    found = []
    for name in layout.names:
        socket = layout.state / name / "libvirt" / "sock" / "libvirt-sock"
        if not socket.exists():
            continue
        uri = f"qemu:///system?socket={socket}"
        status, out, err = await run(["virsh", "--quiet", "-c", uri, "list", "--all", "--name"])
        if status:
            raise Failed(f"virsh on {name}: {err.strip()}")
        found += out.split()
    return found


async def guests(layout: Layout) -> list[str]:
    """QEMU processes and storage daemons in the hosts' namespaces."""
    pids = [pid for space in spaces.there(layout) for pid in await asyncio.to_thread(spaces.processes, space)]
    names = await asyncio.to_thread(lambda: {pid: _name(pid) for pid in pids})
    return [f"{name} {pid}" for pid, name in names.items() if name.startswith("qemu")]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def links(layout: Layout) -> list[str]:
    """Links that an agent made in a host's namespace: it names them with these letters."""
    found = []
    for name in layout.names:
        _, out, _ = await run(["ip", "-n", layout.space(name), "-brief", "link"])
        names = [line.split()[0].partition("@")[0] for line in out.splitlines()]
        found += [link for link in names if link.startswith(("tap", "wb", "wx", "wv", "wm"))]
    return found


async def namespaces(layout: Layout) -> list[str]:
    """Namespaces that agents made."""
    return await asyncio.to_thread(spaces.of_agents, layout)


async def allocated(layout: Layout) -> list[str]:
    """Consumers of any host's resources."""
    async with await health.administrator(layout) as admin:
        hosts = await admin.stub(ProviderServiceStub).ListProviders(providers.ListProvidersRequest())
        found = []
        for host in hosts.providers:
            request = allocations.ListProviderAllocationsRequest(provider_id=host.id)
            answer = await admin.stub(AllocationServiceStub).ListProviderAllocations(request)
            found += [f"{consumer.consumer_type} {consumer.id}" for consumer in answer.consumers]
        return found


async def files(layout: Layout) -> list[str]:
    """Disks of guests and volumes on the hosts, and contents of images in the store."""

    def look() -> list[str]:
        folders = [layout.state / name / kind for name in layout.names for kind in ("guests", "volumes")]
        folders.append(Path(layout.settings.image.store))
        return [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]

    return await asyncio.to_thread(look)


def after_the_end(layout: Layout) -> list[str]:
    """What is left of the cloud itself once it is down: processes, namespaces, files."""
    mark = f"{layout.state}/".encode()
    found = [f"namespace {name}" for name in spaces.there(layout)]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in _environment_and_words(entry):
            found.append(f"process {entry.name} ({_name(int(entry.name))})")
    if layout.state.exists():
        found.append(f"directory {layout.state}")
    return found


def _environment_and_words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
