"""An image up and down through the gateway, beside what the disk and the hashes alone take, in turns."""

import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.suite import Bench
from weft.image.v1 import image_service_pb2 as pb
from weft.image.v1 import image_service_pb2_grpc

_CHUNK = 1 << 20
_MIB = 1 << 20
_WARM_UP = 8


async def run(bench: Bench) -> None:
    """MiB/s of an image's content as a stream of gRPC, and what share that is of the bare work."""
    cloud, size = await bench.cloud(), bench.of(256, 1024)
    rounds = bench.of(3, 5)
    up, down, hashed, read = [list[float]() for _ in range(4)]
    with tempfile.NamedTemporaryFile(prefix="weft-bench-") as file:
        async with person(cloud) as somebody:
            _fill(Path(file.name), _WARM_UP)
            await _download(somebody, await _upload(somebody, Path(file.name)), _WARM_UP * _MIB)
            with cloud.spending() as spent:
                for _ in range(rounds):
                    _fill(Path(file.name), size)
                    begun = time.perf_counter()
                    id = await _upload(somebody, Path(file.name))
                    up.append(size / (time.perf_counter() - begun))
                    hashed.append(size / _hash(Path(file.name)))
                    begun = time.perf_counter()
                    await _download(somebody, id, size * _MIB)
                    down.append(size / (time.perf_counter() - begun))
                    read.append(size / _read(Path(file.name)))
    name = f"of {size} MiB"
    bench.tell(f"upload {name}", "MiB/s", up, None, spent.each(rounds), note="CPU-ms are of up and down")
    bench.tell(f"sha256 and sha512 {name} alone", "MiB/s", hashed)
    bench.tell("upload beside the hashes alone", "x", _ratios(up, hashed), Goal(0.9, at_least=True))
    bench.tell(f"download {name}", "MiB/s", down)
    bench.tell(f"reading {name} alone", "MiB/s", read)
    bench.tell("download beside reading alone", "x", _ratios(down, read), Goal(0.5, at_least=True))


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


async def _upload(somebody: Person, file: Path) -> str:
    stub = somebody.client.stub(image_service_pb2_grpc.ImageServiceStub)
    image = await stub.CreateImage(pb.CreateImageRequest(name="image", disk_format="DISK_FORMAT_RAW"))

    async def chunks() -> AsyncIterator[pb.UploadImageRequest]:
        yield pb.UploadImageRequest(id=image.id)
        with file.open("rb") as content:
            while data := content.read(_CHUNK):
                part = pb.UploadImageRequest()
                part.file.data = data
                yield part

    await stub.UploadImage(chunks())
    return image.id


async def _download(somebody: Person, id: str, size: int) -> None:
    stub, got = somebody.client.stub(image_service_pb2_grpc.ImageServiceStub), 0
    async for part in stub.DownloadImage(pb.DownloadImageRequest(id=id)):
        got += len(part.data)
    if got != size:
        raise ConnectionError(f"{got} of {size} bytes came down")
    await stub.DeleteImage(pb.DeleteImageRequest(id=id))
