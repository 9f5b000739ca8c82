"""How connections between processes are made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mesh.certificates import Identity
from mesh.channel import connect
from tests.mesh.cloudlet import Cloudlet
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1 import flavor_service_pb2_grpc as pb_grpc


async def test_a_connection_whose_handshake_is_slow_is_waited_for(little: Cloudlet) -> None:
    """Even by a call that is never repeated, as this one without a request_id."""
    leaf = little.authority.issue(Identity.gateway())
    admin = little.signer.token(scp="system", prj=None, rol=["admin"])
    name = Identity.service("compute").dns
    ca_file = little.authority.directory / "ca.crt"
    async with (
        slow(little.settings.address("compute"), 0.6) as address,
        connect(address, ca_file, admin, leaf=leaf, server_name=name) as client,
    ):
        made = await client.stub(pb_grpc.FlavorServiceStub).CreateFlavor(
            pb.CreateFlavorRequest(name="small", vcpus=1, memory_mib=64, disk_gib=1)
        )
    assert made.name == "small"
    assert [flavor.kind.name for flavor in little.flavors.callers] == ["USER"]


@asynccontextmanager
async def slow(address: str, seconds: float) -> AsyncIterator[str]:
    """An address that leads to `address`; every answer takes `seconds` longer."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: float) -> None:
        while data := await reader.read(1 << 16):
            await asyncio.sleep(wait)
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if address.startswith("unix:"):
            back, forth = await asyncio.open_unix_connection(Path(address.removeprefix("unix:")))
        else:
            back, forth = await asyncio.open_connection(*address.rsplit(":", 1))
        await asyncio.gather(carry(reader, forth, 0), carry(back, writer, seconds))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
