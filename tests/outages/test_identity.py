"""A host's disk is copied, and restored from a backup: real agents, and what control makes of them."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.cloud import health
from tests.chaos.parts import Part
from tests.outages.cloud import OutageCloud, Somebody
from tests.services.harness import until
from weft.compute.v1.host_service_pb2 import ListHostsRequest, ReadmitHostRequest
from weft.compute.v1.host_service_pb2_grpc import HostServiceStub
from weft.compute.v1.resources_pb2 import Host
from weft.telemetry.v1.warning_service_pb2 import ListWarningsRequest, WarningKind
from weft.telemetry.v1.warning_service_pb2_grpc import WarningServiceStub

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Operator:
    """An administrator of the cloud, looking at its first host."""

    def __init__(self, client: Any) -> None:
        self._hosts: Any = client.stub(HostServiceStub)
        self._warnings: Any = client.stub(WarningServiceStub)

    async def host(self) -> Host:
        """The host as it is."""
        return (await self._hosts.ListHosts(ListHostsRequest(name="h1"))).hosts[0]

    async def sees_epoch(self, epoch: int) -> None:
        """The host has come to that epoch."""

        async def there() -> bool:
            return (await self.host()).epoch >= epoch

        await until(there, 60)

    async def hears_the_host(self) -> None:
        """It has given a sign of life, which confirms its epoch, since this was called."""
        before = (await self.host()).last_seen_at

        async def later() -> bool:
            return (await self.host()).last_seen_at != before

        await until(later, 60)

    async def sees_refusal(self, why: str) -> None:
        """The list of warnings says that the host's agent is refused."""
        request = ListWarningsRequest(kind=WarningKind.WARNING_KIND_REFUSED_HOST)

        async def told() -> bool:
            return any(why in each.message for each in (await self._warnings.ListWarnings(request)).warnings)

        await until(told, 60)

    async def readmits(self) -> None:
        """The host's agent is to be believed again."""
        await self._hosts.ReadmitHost(ReadmitHostRequest(id=(await self.host()).id))


def copied(cloud: OutageCloud, host: Part, folder: Path) -> Part:
    """An agent on a copy of the host's disk."""
    shutil.copytree(cloud.state / host.name, folder)
    socket = f"unix:{cloud.state}/run/copy.sock"
    where = {"STATE": str(folder), "ADDRESS": socket, "LISTEN": json.dumps([socket])}
    environ = host._environ | {f"WEFT_NODE__{key}": value for key, value in where.items()}
    words = host._words[host._words.index("--") + 1 :]
    return Part("copy", words, environ, cloud.state / "log" / "copy.log")


def restore(backup: Path, folder: Path) -> None:
    """Put a backup in the place of what is there."""
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.copytree(backup, folder, dirs_exist_ok=True)


async def test_a_copied_disk_is_refused_and_a_restored_one_until_it_is_readmitted(
    cloud: OutageCloud, somebody: Somebody, tmp_path: Path
) -> None:
    host, folder = cloud.parts["h1"], cloud.state / "h1"
    async with await health.administrator(cloud.layout) as admin:
        operator = Operator(admin)
        first = (await operator.host()).epoch
        copy = await asyncio.to_thread(copied, cloud, host, tmp_path / "copy")
        copy.start()
        try:
            await operator.sees_refusal("and lives")
            await somebody.finds_whole(await somebody.boots(2))
        finally:
            copy.kill()
        assert (await operator.host()).epoch == first

        backup = await asyncio.to_thread(shutil.copytree, folder, tmp_path / "backup")
        host.kill()
        host.start()
        await operator.sees_epoch(first + 1)
        await operator.hears_the_host()
        host.kill()
        await asyncio.to_thread(restore, backup, folder)
        host.start()
        await operator.sees_refusal(f"of epoch {first}")
        await operator.readmits()
        await operator.sees_epoch(first + 2)
        await somebody.finds_whole(await somebody.boots(2))
