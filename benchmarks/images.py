"""An image up and down through the gateway, beside what the disk and the hashes alone take, in turns.

By plain HTTP the client is the command line's: Python's http.client, a MiB at a time.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.processes import Cost, Spent
from benchmarks.suite import Bench
from cli.contents import Contents
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1 import image_service_pb2_grpc

_CHUNK = 1 << 20
_MIB = 1 << 20
_WARM_UP = 8
Up = Callable[[Person, str, Path], Awaitable[None]]
Down = Callable[[Person, str, int], Awaitable[None]]


async def run(bench: Bench) -> None:
    """MiB/s of an image's content by HTTP and by gRPC, and what share that is of the bare work."""
    cloud, size = await bench.cloud(), bench.of(256, 1024)
    rounds = bench.of(3, 5)
    plain, messages = _Way(_put, _get), _Way(_upload, _download)
    hashed, read = list[float](), list[float]()
    with tempfile.NamedTemporaryFile(prefix="weft-bench-") as named:
        file = Path(named.name)
        async with person(cloud) as somebody:
            _fill(file, _WARM_UP)
            for way in (plain, messages):
                await way.there_and_back(somebody, file, _WARM_UP)
            for _ in range(rounds):
                for way in (plain, messages):
                    _fill(file, size)
                    await way.measured(somebody, file, size)
                hashed.append(size / _hash(file))
                read.append(size / _read(file))
    name = f"of {size} MiB"
    bench.tell(f"upload {name}", "MiB/s", plain.up, None, plain.cost(), note="CPU-ms are of up and down")
    bench.tell(f"upload {name} by gRPC", "MiB/s", messages.up, None, messages.cost())
    bench.tell(f"sha256 and sha512 {name} alone", "MiB/s", hashed)
    bench.tell("upload beside the hashes alone", "x", _ratios(plain.up, hashed), Goal(0.9, at_least=True))
    bench.tell(f"download {name}", "MiB/s", plain.down)
    bench.tell(f"download {name} by gRPC", "MiB/s", messages.down)
    bench.tell(f"reading {name} alone", "MiB/s", read)
    bench.tell("download beside reading alone", "x", _ratios(plain.down, read), Goal(0.5, at_least=True))


class _Way:
    """A way up and down, and what was measured of it."""

    def __init__(self, up: Up, down: Down) -> None:
        self._up, self._down = up, down
        self.up, self.down = list[float](), list[float]()
        self._spent: list[Spent] = []

    async def there_and_back(self, somebody: Person, file: Path, size: int) -> tuple[float, float]:
        """Seconds for so many MiB up, and for the same down."""
        stub = somebody.client.stub(image_service_pb2_grpc.ImageServiceStub)
        image = await stub.CreateImage(pb.CreateImageRequest(name="image", disk_format="DISK_FORMAT_RAW"))
        begun = time.perf_counter()
        await self._up(somebody, image.id, file)
        there = time.perf_counter()
        await self._down(somebody, image.id, size * _MIB)
        back = time.perf_counter()
        await stub.DeleteImage(pb.DeleteImageRequest(id=image.id))
        return there - begun, back - there

    async def measured(self, somebody: Person, file: Path, size: int) -> None:
        """Once more, and counted."""
        with somebody.cloud.spending() as spent:
            up, down = await self.there_and_back(somebody, file, size)
        self._spent.append(spent)
        self.up.append(size / up)
        self.down.append(size / down)

    def cost(self) -> Cost:
        """Of one round."""
        rounds = len(self._spent)
        ms = {name: sum(spent.ms[name] for spent in self._spent) / rounds for name in self._spent[-1].ms}
        return Cost(ms, self._spent[-1].pss_mb)


def _ratios(ours: list[float], bare: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, bare, strict=True)]


def _fill(file: Path, size: int) -> None:
    """With what no storage can shorten, new each time."""
    with file.open("wb") as out:
        for _ in range(size):
            out.write(os.urandom(_MIB))


def _hash(file: Path) -> float:
    """Seconds for both digests of the content, one after the other as one process makes them."""
    begun = time.perf_counter()
    digests = hashlib.sha256(), hashlib.sha512()
    with file.open("rb") as content:
        while part := content.read(_CHUNK):
            for digest in digests:
                digest.update(part)
    return time.perf_counter() - begun


def _read(file: Path) -> float:
    begun = time.perf_counter()
    with file.open("rb") as content:
        while content.read(_CHUNK):
            pass
    return time.perf_counter() - begun


async def _put(somebody: Person, id: str, file: Path) -> None:
    with file.open("rb") as content:
        await asyncio.to_thread(_contents(somebody).put, id, content)


async def _get(somebody: Person, id: str, size: int) -> None:
    await asyncio.to_thread(_contents(somebody).get, id, size, len)


def _contents(somebody: Person) -> Contents:
    layout = somebody.cloud.layout
    return Contents(layout.endpoint, str(layout.ca), somebody.client.token or "")


async def _upload(somebody: Person, id: str, file: Path) -> None:
    async def chunks() -> AsyncIterator[pb.UploadImageRequest]:
        yield pb.UploadImageRequest(id=id)
        with file.open("rb") as content:
            while data := content.read(_CHUNK):
                part = pb.UploadImageRequest()
                part.file.data = data
                yield part

    await somebody.client.stub(image_service_pb2_grpc.ImageServiceStub).UploadImage(chunks())


async def _download(somebody: Person, id: str, size: int) -> None:
    stub, got = somebody.client.stub(image_service_pb2_grpc.ImageServiceStub), 0
    async for part in stub.DownloadImage(pb.DownloadImageRequest(id=id)):
        got += len(part.data)
    if got != size:
        raise ConnectionError(f"{got} of {size} bytes came down")
