"""From a request to the first line on a real guest's console, beside the same guest begun by hand.

Guests are emulated (TCG), so that the figure means the same on machines without hardware virtualization. By
hand is the very domain that the host made: with a fresh disk, started by `virsh create` on the same libvirtd.
"""

import asyncio
import time
import uuid
from pathlib import Path
from xml.etree import ElementTree

from benchmarks import cloud
from benchmarks.cloud import Cloud
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.suite import Bench
from weft.compute.v1.server_service_pb2 import FollowConsoleRequest

GUEST_IMAGE = Path(".cache/guest/weft-tiny.qcow2")
_LOOK = 0.002
_PATIENCE = 120.0


class NoGuest(Exception):
    """There is nothing to boot, or it did not speak."""


async def run(bench: Bench) -> None:
    """In turns, after one boot that fills the host's cache of images."""
    async with cloud.running("tcg") as made, person(made) as somebody:
        flavor, network = await somebody.flavor(), await somebody.network("10.30.0.0/24")
        image = await somebody.image(await asyncio.to_thread(_guest_image), "DISK_FORMAT_QCOW2")
        domain, _ = await _by_weft(made, somebody, flavor, image, network)
        weft, hand = [], []
        for _ in range(bench.of(3, 10)):
            hand.append(await _by_hand(made, domain))
            domain, seconds = await _by_weft(made, somebody, flavor, image, network)
            weft.append(seconds)
    bench.tell("the domain by hand, to its first line", "s", hand)
    bench.tell("from the request to the first line, as FollowConsole tells it", "s", weft)
    beyond = [one - other for one, other in zip(weft, hand, strict=True)]
    bench.tell("beyond what the guest itself takes", "s", beyond, Goal(1.5))


async def _by_weft(made: Cloud, somebody: Person, flavor: str, image: str, network: str) -> tuple[str, float]:
    """The domain of a server, and the seconds until its first line; the server is gone afterwards."""
    begun = time.perf_counter()
    server = await somebody.create_server(flavor, image, network)
    async with asyncio.timeout(_PATIENCE):
        said = ""
        async for part in somebody.servers.FollowConsole(FollowConsoleRequest(id=server.id)):
            said += part.output
            if "\n" in said:
                break
        else:
            raise NoGuest("the guest ended without a word")
    seconds = time.perf_counter() - begun
    await somebody.ended(server.operation_id)
    domain = await _virsh(made, "dumpxml", "--inactive", server.id)
    await somebody.delete_server(server.id)
    return domain, seconds


async def _by_hand(made: Cloud, domain: str) -> float:
    """Seconds until the same domain has said a line, under a name that is no server's."""
    folder = made.layout.state / "by-hand"
    folder.mkdir()
    base, disk, console = _base(made), folder / "root.qcow2", folder / "console.log"
    await _command("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(disk))
    (folder / "domain.xml").write_text(_renamed(domain, disk, console))
    begun = time.perf_counter()
    await _virsh(made, "create", str(folder / "domain.xml"))
    try:
        await asyncio.to_thread(_until_it_speaks, console)
        return time.perf_counter() - begun
    finally:
        await _virsh(made, "destroy", "by-hand")
        for file in (disk, console, folder / "domain.xml"):
            file.unlink()
        folder.rmdir()


def _guest_image() -> bytes:
    try:
        return GUEST_IMAGE.read_bytes()
    except FileNotFoundError as error:
        raise NoGuest(f"{GUEST_IMAGE} is not there: `make image` builds it") from error


def _until_it_speaks(console: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while not (console.exists() and b"\n" in console.read_bytes()):
        if time.monotonic() > until:
            raise NoGuest(f"the guest by hand said nothing in {_PATIENCE:g} s")
        time.sleep(_LOOK)


def _renamed(domain: str, disk: Path, console: Path) -> str:
    """The domain with another identity, its own disk and log, and a tap that libvirt makes for it."""
    root = ElementTree.fromstring(domain)
    id = str(uuid.uuid4())
    _only(root, "name").text, _only(root, "uuid").text = "by-hand", id
    root.remove(_only(root, "metadata"))
    for entry in root.iterfind("./sysinfo/system/entry[@name='uuid']"):
        entry.text = id
    _only(root, "./devices/disk/source").set("file", str(disk))
    for log in root.iterfind("./devices//log"):
        log.set("file", str(console))
    for target in root.iterfind("./devices/interface/target"):
        target.attrib = {"dev": "byhand"}
    return ElementTree.tostring(root, encoding="unicode")


def _only(root: ElementTree.Element, path: str) -> ElementTree.Element:
    found = root.find(path)
    if found is None:
        raise NoGuest(f"the domain has no {path}")
    return found


def _base(made: Cloud) -> Path:
    """The host's copy of the only image."""
    folder = made.layout.state / made.layout.names[0] / "images"
    (base,) = (path for path in folder.iterdir() if len(path.name) == 64)
    return base


async def _virsh(made: Cloud, *words: str) -> str:
    socket = made.layout.state / made.layout.names[0] / "libvirt" / "sock" / "libvirt-sock"
    return await _command("virsh", "--quiet", "-c", f"qemu:///system?socket={socket}", *words)


async def _command(*words: str) -> str:
    child = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await child.communicate()
    if child.returncode:
        raise NoGuest(f"{' '.join(words)}: {said.decode()}")
    return out.decode()
