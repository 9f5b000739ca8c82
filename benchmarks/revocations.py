"""How long a token is still taken after its owner has logged out: until each service has refused it."""

import asyncio
import time
from typing import Any

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import Person, person
from benchmarks.suite import Bench
from mesh.channel import Client, connect
from mesh.errors import CloudError
from weft.block.v1.volume_service_pb2 import ListVolumesRequest
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1.flavor_service_pb2 import ListFlavorsRequest
from weft.compute.v1.flavor_service_pb2_grpc import FlavorServiceStub
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.image.v1.image_service_pb2 import ListImagesRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.network.v1.network_service_pb2 import ListNetworksRequest
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub

_GOAL = Goal(1000, share=0.99)
_PATIENCE = 60  # seconds; beyond it is no figure but a fault
_READS: dict[str, tuple[Any, str, Any]] = {
    "compute": (FlavorServiceStub, "ListFlavors", ListFlavorsRequest),
    "image": (ImageServiceStub, "ListImages", ListImagesRequest),
    "network": (NetworkServiceStub, "ListNetworks", ListNetworksRequest),
    "block": (VolumeServiceStub, "ListVolumes", ListVolumesRequest),
}


def _reads(client: Client) -> list[measure.Work]:
    """A call to each service."""

    def read(stub: Any, name: str, request: Any) -> measure.Work:
        call = getattr(client.stub(stub), name)
        return lambda: call(request(page_size=1))

    return [read(*each) for each in _READS.values()]


async def run(bench: Bench) -> None:
    """Through the gateway, from the answer to RevokeToken; all services at the same time."""
    cloud = await bench.cloud()
    taken: dict[str, list[float]] = {name: [] for name in _READS}
    async with person(cloud) as somebody, connect(cloud.layout.endpoint, cloud.layout.ca) as client:
        for _ in range(bench.of(50, 500)):
            client.token = await _another(somebody)
            await asyncio.gather(*(read() for read in _reads(client)))
            await client.stub(TokenServiceStub).RevokeToken(tokens.RevokeTokenRequest())
            begun = time.perf_counter()
            async with asyncio.timeout(_PATIENCE):
                ends = await asyncio.gather(*map(_refused, _reads(client)))
            for samples, end in zip(taken.values(), ends, strict=True):
                samples.append((end - begun) * 1e3)
    for name, samples in taken.items():
        bench.tell(f"from a logout until {name} has refused the token", "ms", samples, _GOAL)


async def _another(somebody: Person) -> str:
    """A token that was exchanged for the person's own, which outlives it."""
    assert somebody.client.token is not None
    said = tokens.CreateTokenRequest(
        token={"token": somebody.client.token}, scope={"project_id": somebody.project_id}
    )
    return str((await somebody.client.stub(TokenServiceStub).CreateToken(said)).token)


async def _refused(read: measure.Work) -> float:
    """Ask until the token is refused; when that was."""
    while True:
        try:
            await read()
        except CloudError as error:
            if error.reason != "TOKEN_REVOKED":
                raise
            return time.perf_counter()
