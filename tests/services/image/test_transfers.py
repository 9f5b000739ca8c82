"""Hosts fetch the contents that are staged there, and no others."""

import os
from datetime import timedelta

import pytest

from mesh import clock, ids
from mesh.errors import CloudError
from tests.services.harness import House, person
from tests.services.image.conftest import Images
from weft.image.v1 import transfer_service_pb2 as transfers
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceStub

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)


async def test_a_host_fetches_content_by_digest_from_where_it_was_cut(
    cloud_house: House, mine: Images
) -> None:
    image = await mine.make(DATA)
    host_id = mine.project_id
    stub = cloud_house.node("image", host_id).stub(TransferServiceStub)
    request = transfers.FetchImageRequest(image_id=image.id, sha256=image.sha256, offset=MIB)
    request.grant = await granted(cloud_house, host_id, image.sha256)
    pieces = [answer.data async for answer in stub.FetchImage(request)]
    assert b"".join(pieces) == DATA[MIB:]
    assert max(map(len, pieces)) <= MIB
    await mine.delete(image.id)
    with pytest.raises(CloudError) as refusal:
        _ = [answer async for answer in stub.FetchImage(request)]
    assert refusal.value.reason == "NOT_FOUND"


async def granted(house: House, host_id: str, sha256: str) -> bytes:
    """A grant, as a service gets it for a host."""
    stub = house.service("image", "compute").stub(TransferServiceStub)
    return (await stub.GrantFetch(transfers.GrantFetchRequest(host_id=host_id, sha256=sha256))).grant


async def fetched(house: House, host_id: str, sha256: str, grant: bytes) -> str:
    """What a host's fetch ends in: a reason, or "" for the content."""
    stub = house.node("image", host_id).stub(TransferServiceStub)
    request = transfers.FetchImageRequest(image_id=ids.new(), sha256=sha256, grant=grant)
    try:
        _ = [answer async for answer in stub.FetchImage(request)]
    except CloudError as error:
        return error.reason
    return ""


async def test_a_host_fetches_what_is_staged_there_and_nothing_else(cloud_house: House, mine: Images) -> None:
    first, second = await mine.make(DATA), await mine.make(DATA[:MIB])
    host, other = ids.new(), ids.new()
    grant = await granted(cloud_house, host, first.sha256)
    assert await fetched(cloud_house, host, first.sha256, grant) == ""
    assert await fetched(cloud_house, other, first.sha256, grant) == "PERMISSION_DENIED"
    assert await fetched(cloud_house, host, second.sha256, grant) == "PERMISSION_DENIED"
    for spoiled in (b"", b"x", grant[:-1], bytes([grant[0] ^ 1]) + grant[1:], grant + b"\0", b"\0" * 512):
        assert await fetched(cloud_house, host, first.sha256, spoiled) == "PERMISSION_DENIED"
    begun = clock.now()
    with clock.told_by(lambda: begun + timedelta(minutes=61)):
        assert await fetched(cloud_house, host, first.sha256, grant) == "PERMISSION_DENIED"
    assert await fetched(cloud_house, host, first.sha256, grant) == ""


async def test_a_host_grants_itself_nothing(cloud_house: House, mine: Images) -> None:
    image, host = await mine.make(DATA), ids.new()
    stub = cloud_house.node("image", host).stub(TransferServiceStub)
    with pytest.raises(CloudError) as refusal:
        await stub.GrantFetch(transfers.GrantFetchRequest(host_id=host, sha256=image.sha256))
    assert refusal.value.reason == "AUDIENCE_REFUSED"


async def test_a_person_cannot_fetch_as_a_host_does(cloud_house: House, mine: Images) -> None:
    image = await mine.make(DATA)
    caller = person(mine.project_id, "admin", scope="system")
    stub = cloud_house.user("image", caller).stub(TransferServiceStub)
    with pytest.raises(CloudError) as refusal:
        _ = [
            a
            async for a in stub.FetchImage(
                transfers.FetchImageRequest(image_id=image.id, sha256=image.sha256)
            )
        ]
    assert refusal.value.reason == "AUDIENCE_REFUSED"
