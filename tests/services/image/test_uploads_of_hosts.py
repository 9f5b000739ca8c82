"""A host brings the content of an image that was made for it, and no other host does."""

from collections.abc import AsyncIterator

import pytest

from mesh import ids
from mesh.caller import METADATA_KEY, encode
from mesh.errors import CloudError
from tests.services.harness import House, person
from tests.services.image.conftest import Images, digest
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.transfer_service_pb2 import StoreImageRequest
from weft.image.v1.transfer_service_pb2_grpc import TransferServiceStub

DATA = b"a disk" * 400_000
HOST = ids.new()


async def _made_for(house: House, mine: Images, host_id: str) -> str:
    """The id of a QUEUED image, as compute makes it on behalf of a member."""
    stub = house.service("image", "compute").stub(ImageServiceStub)
    request = verbs.CreateImageRequest(name="copy", disk_format=pb.DISK_FORMAT_RAW, uploader_host_id=host_id)
    for_whom = encode(person(mine.project_id, "member").through("compute"))
    return (await stub.CreateImage(request, metadata=((METADATA_KEY, for_whom),))).id


async def _pieces(image_id: str) -> AsyncIterator[StoreImageRequest]:
    yield StoreImageRequest(image_id=image_id)
    for at in range(0, len(DATA), 1 << 20):
        yield StoreImageRequest(data=DATA[at : at + (1 << 20)])


async def _store(house: House, host_id: str, image_id: str) -> str:
    stub = house.node("image", host_id).stub(TransferServiceStub)
    return (await stub.StoreImage(_pieces(image_id))).sha256


async def test_the_host_brings_it_and_again_is_the_same(cloud_house: House, mine: Images) -> None:
    image_id = await _made_for(cloud_house, mine, HOST)
    for _ in range(2):
        assert await _store(cloud_house, HOST, image_id) == digest(DATA)
    image = await mine.get(image_id)
    assert (image.status, image.size_bytes) == (pb.IMAGE_STATUS_ACTIVE, len(DATA))
    assert await mine.content(image_id) == DATA


async def test_no_other_host_brings_it_nor_any_that_is_for_none(cloud_house: House, mine: Images) -> None:
    of_person = await mine.create()
    for image_id in (await _made_for(cloud_house, mine, HOST), of_person.id, ids.new()):
        with pytest.raises(CloudError) as refused:
            await _store(cloud_house, ids.new(), image_id)
        assert refused.value.reason == "NOT_FOUND"
    assert (await mine.get(of_person.id)).status == pb.IMAGE_STATUS_QUEUED


async def test_a_person_names_no_host(mine: Images) -> None:
    with pytest.raises(CloudError) as refused:
        await mine.create(uploader_host_id=HOST)
    assert refused.value.reason == "PERMISSION_DENIED"
