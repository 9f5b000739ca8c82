"""The disk that the databases are on is full: callers are told, what can be read is read, and room is all
that it takes to go on.
"""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cli.cloud.layout import Layout
from cli.cloud.processes import parts
from mesh.errors import CloudError
from tests.end_to_end import clouds
from tests.end_to_end.clouds import Cloud, Person
from weft.compute.v1 import resources_pb2, server_service_pb2
from weft.operation.v1 import operation_pb2

_MIB = 1 << 20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, with 96 MiB."""
    with tempfile.TemporaryDirectory(prefix="wd-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "weft-test", folder], check=True)
        try:
            yield Path(folder)
        finally:
            _unmounted(folder)


def _unmounted(folder: str) -> None:
    """Gone, once nobody has a file there: what ends last of a cloud may still be closing its log."""
    until = time.monotonic() + 60
    while subprocess.run(["umount", folder], check=time.monotonic() > until).returncode:
        time.sleep(0.2)


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """An empty disk."""
    file = tmp_path / "tiny.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "1M"], check=True)
    return file


@contextmanager
def cloud_on(folder: Path) -> Iterator[Cloud]:
    """A simulated cloud whose state is there."""
    made = Cloud(Layout(folder / "c", 1, "simulated", clouds._free_port()))
    try:
        made.up()
        yield made
    finally:
        clouds.weft("down", "--state", str(made.layout.state), "--purge")


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Within the block there is no room at all."""
    filler = folder / "filler"
    for portion in (_MIB, 512):
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while shutil.disk_usage(folder).free:
                file.write(bytes(portion))
    assert shutil.disk_usage(folder).free == 0
    yield
    filler.unlink()


async def begin(person: Person, name: str, image: str, flavor: str) -> resources_pb2.Server:
    request = server_service_pb2.CreateServerRequest(
        name=name, flavor_id=flavor, image_id=image, no_network=True
    )
    return await person.servers.CreateServer(request, timeout=20)


async def begin_until_refused(person: Person, image: str, flavor: str) -> None:
    """What is written already leaves some room in its last pages."""
    for number in range(200):
        await begin(person, f"more{number}", image, flavor)


async def test_a_full_disk_stops_changes_alone_and_room_is_all_that_is_needed(
    small_disk: Path, image_file: Path
) -> None:
    with cloud_on(small_disk) as cloud:
        before = {part.name: part.pid for part in parts(cloud.layout)}
        async with cloud.person("alice") as person:
            image, flavor = await person.image(path=image_file), await person.flavor()
            begun = [await begin(person, f"s{number}", image, flavor) for number in range(4)]
            with full(small_disk):
                with pytest.raises(CloudError) as refused:
                    await begin_until_refused(person, image, flavor)
                assert refused.value.reason == "STORAGE_FULL"
                listed = await person.servers.ListServers(server_service_pb2.ListServersRequest())
                assert {server.id for server in begun} <= {server.id for server in listed.servers}
            for server in listed.servers:
                ended = await _ended(person, server)
                assert ended.state == operation_pb2.OPERATION_STATE_SUCCEEDED, ended.error
            last = await begin(person, "last", image, flavor)
            assert (await _ended(person, last)).state == operation_pb2.OPERATION_STATE_SUCCEEDED
        assert {part.name: part.pid for part in parts(cloud.layout)} == before


async def _ended(person: Person, server: resources_pb2.Server) -> operation_pb2.Operation:
    """The server's operation at its end, asked for again while the stream breaks."""
    if not server.operation_id:
        return operation_pb2.Operation(state=operation_pb2.OPERATION_STATE_SUCCEEDED)
    async with asyncio.timeout(120):
        while True:
            with suppress(CloudError):
                return await person.ended(server.operation_id)
            await asyncio.sleep(0.5)
