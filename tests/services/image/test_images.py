"""Records of images, and who sees and changes them."""

import asyncio
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from mesh import ids
from mesh.errors import CloudError
from tests.services.harness import House
from tests.services.image.conftest import Images
from weft.image.v1 import image_service_pb2 as verbs
from weft.image.v1 import resources_pb2 as pb
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub

DATA = b"weft" * 1000


async def update(images: Images, image_id: str, paths: list[str], **fields: Any) -> pb.Image:
    """Change these fields."""
    revision = fields.pop("expected_revision", 0)
    request = verbs.UpdateImageRequest(
        id=image_id, image=pb.Image(**fields), update_mask=FieldMask(paths=paths), expected_revision=revision
    )
    return await images.stub.UpdateImage(request)


async def refused(call: Any) -> CloudError:
    """The error that the call ends with."""
    with pytest.raises(CloudError) as refusal:
        await call
    return refusal.value


async def test_an_image_is_as_it_was_described(mine: Images) -> None:
    made = await mine.create(
        name="debian", min_disk_gib=2, min_memory_mib=128, properties={"os_distro": "debian"}, tags=["b", "a"]
    )
    image = await mine.get(made.id)
    assert image == made
    assert image.status == pb.IMAGE_STATUS_QUEUED
    assert image.visibility == pb.VISIBILITY_PRIVATE
    assert (image.project_id, image.revision) == (mine.project_id, 1)
    assert image.properties == {"os_distro": "debian"}
    assert image.tags == ["a", "b"]


async def test_another_projects_private_image_is_as_unknown_as_one_that_never_was(
    mine: Images, theirs: Images
) -> None:
    image, nowhere = await mine.make(DATA), ids.new()
    for call in (
        theirs.get,
        theirs.content,
        theirs.delete,
        lambda id: update(theirs, id, ["name"], name="x"),
    ):
        hidden, unknown = await refused(call(image.id)), await refused(call(nowhere))
        assert hidden.reason == unknown.reason == "NOT_FOUND"
        assert hidden.message.replace(image.id, nowhere) == unknown.message
    assert image.id not in await theirs.ids()
    assert image.id in await mine.ids()


async def test_only_admin_makes_an_image_public_and_then_all_see_it(
    mine: Images, theirs: Images, admins: Images
) -> None:
    assert (await refused(mine.create(visibility=pb.VISIBILITY_PUBLIC))).reason == "PERMISSION_DENIED"
    own = await mine.create()
    change = update(mine, own.id, ["visibility"], visibility=pb.VISIBILITY_PUBLIC)
    assert (await refused(change)).reason == "PERMISSION_DENIED"
    public = await admins.make(DATA, visibility=pb.VISIBILITY_PUBLIC)
    assert public.id in await theirs.ids()
    assert await theirs.content(public.id) == DATA
    assert (await refused(theirs.delete(public.id))).reason == "PERMISSION_DENIED"
    assert (await refused(update(theirs, public.id, ["name"], name="x"))).reason == "PERMISSION_DENIED"


async def test_a_community_image_is_for_those_who_know_its_id(mine: Images, theirs: Images) -> None:
    image = await mine.make(DATA, visibility=pb.VISIBILITY_COMMUNITY)
    assert image.id not in await theirs.ids()
    assert await theirs.content(image.id) == DATA


async def test_a_shared_image_is_its_members_and_listed_once_accepted(
    mine: Images, theirs: Images, admins: Images
) -> None:
    image = await mine.make(DATA, visibility=pb.VISIBILITY_SHARED)
    assert (await refused(theirs.get(image.id))).reason == "NOT_FOUND"
    key = {"image_id": image.id, "member_project_id": theirs.project_id}
    member = await mine.stub.AddMember(verbs.AddMemberRequest(**key))
    assert member.status == pb.MEMBER_STATUS_PENDING
    assert await theirs.content(image.id) == DATA
    assert image.id not in await theirs.ids()
    pending = {"member_statuses": [pb.MEMBER_STATUS_PENDING]}
    assert image.id in await theirs.ids(**pending)
    assert image.id not in await admins.ids(**pending)
    accept = verbs.SetMemberStatusRequest(**key, status=pb.MEMBER_STATUS_ACCEPTED)
    assert (await refused(admins.stub.SetMemberStatus(accept))).reason == "NOT_FOUND"
    assert (await refused(mine.stub.SetMemberStatus(accept))).reason == "PERMISSION_DENIED"
    assert (await theirs.stub.SetMemberStatus(accept)).revision == 2
    assert image.id in await theirs.ids()
    assert image.id not in await theirs.ids(**pending)
    assert image.id not in await admins.ids()
    await mine.stub.RemoveMember(verbs.RemoveMemberRequest(**key))
    assert (await refused(theirs.get(image.id))).reason == "NOT_FOUND"
    assert (await refused(mine.stub.RemoveMember(verbs.RemoveMemberRequest(**key)))).reason == "NOT_FOUND"


async def test_only_a_shared_image_takes_members_and_only_from_its_project(
    mine: Images, theirs: Images
) -> None:
    private = await mine.create()
    offer = verbs.AddMemberRequest(image_id=private.id, member_project_id=theirs.project_id)
    assert (await refused(mine.stub.AddMember(offer))).reason == "WRONG_STATUS"
    shared = await mine.create(visibility=pb.VISIBILITY_SHARED)
    offer = verbs.AddMemberRequest(image_id=shared.id, member_project_id=theirs.project_id)
    assert (await refused(theirs.stub.AddMember(offer))).reason == "NOT_FOUND"
    first = await mine.stub.AddMember(offer)
    assert await mine.stub.AddMember(offer) == first
    onward = verbs.AddMemberRequest(image_id=shared.id, member_project_id=ids.new())
    assert (await refused(theirs.stub.AddMember(onward))).reason == "PERMISSION_DENIED"


async def test_a_member_sees_itself_alone_among_the_members(mine: Images, theirs: Images) -> None:
    image = await mine.create(visibility=pb.VISIBILITY_SHARED)
    for project_id in (theirs.project_id, ids.new(), ids.new()):
        offer = verbs.AddMemberRequest(image_id=image.id, member_project_id=project_id)
        await mine.stub.AddMember(offer)
    request = verbs.ListMembersRequest(image_id=image.id)
    assert len((await mine.stub.ListMembers(request)).members) == 3
    seen = (await theirs.stub.ListMembers(request)).members
    assert [member.member_project_id for member in seen] == [theirs.project_id]


async def test_lists_filter_and_come_in_pages(mine: Images) -> None:
    for number in range(5):
        await mine.create(name=f"n{number % 2}", tags=["all", f"t{number}"], hidden=number == 4)
    assert len(await mine.ids()) == 4
    assert len(await mine.ids(hidden=True)) == 1
    assert len(await mine.ids(name="n1")) == 2
    assert len(await mine.ids(tags=["all", "t3"])) == 1
    assert len(await mine.ids(tags=["t2", "t3"])) == 0
    assert len(await mine.ids(status=pb.IMAGE_STATUS_ACTIVE)) == 0
    names, token = [], ""
    while True:
        page = await mine.stub.ListImages(verbs.ListImagesRequest(page_size=3, page_token=token))
        names += [image.name for image in page.images]
        token = page.next_page_token
        if not token:
            break
    assert names == ["n0", "n1", "n0", "n1"]


async def test_an_update_changes_what_its_mask_names(mine: Images) -> None:
    image = await mine.create(name="a", tags=["x"], properties={"k": "v"})
    changed = await update(mine, image.id, ["name", "tags"], name="b", tags=["y", "z"], min_disk_gib=7)
    assert (changed.name, changed.tags, changed.min_disk_gib) == ("b", ["y", "z"], 0)
    assert changed.properties == {"k": "v"}
    assert changed.revision == 2
    assert (await refused(update(mine, image.id, ["sha256"]))).fields.keys() == {"update_mask.sha256"}
    stale = await refused(update(mine, image.id, ["name"], name="c", expected_revision=1))
    assert stale.reason == "REVISION_MISMATCH"


async def test_a_protected_image_is_not_deleted(mine: Images) -> None:
    image = await mine.create(protected=True)
    assert (await refused(mine.delete(image.id))).reason == "WRONG_STATUS"
    await update(mine, image.id, ["protected"], protected=False)
    await mine.delete(image.id)
    assert (await refused(mine.delete(image.id))).reason == "NOT_FOUND"
    await mine.stub.DeleteImage(verbs.DeleteImageRequest(id=image.id, allow_missing=True))


async def test_a_deactivated_image_is_given_out_to_administrators_alone(mine: Images, system: Images) -> None:
    image = await mine.make(DATA)
    request = verbs.DeactivateImageRequest(id=image.id)
    assert (await refused(mine.stub.DeactivateImage(request))).reason == "PERMISSION_DENIED"
    assert (await system.stub.DeactivateImage(request)).status == pb.IMAGE_STATUS_DEACTIVATED
    assert (await system.stub.DeactivateImage(request)).status == pb.IMAGE_STATUS_DEACTIVATED
    assert (await refused(mine.content(image.id))).reason == "WRONG_STATUS"
    assert await system.content(image.id) == DATA
    await system.stub.ReactivateImage(verbs.ReactivateImageRequest(id=image.id))
    assert await mine.content(image.id) == DATA


async def test_an_image_without_content_cannot_be_read(mine: Images) -> None:
    assert (await refused(mine.content((await mine.create()).id))).reason == "WRONG_STATUS"


async def test_a_replayed_creation_makes_one_image(mine: Images) -> None:
    request_id = ids.new()
    first, again = [await mine.create(name="a", request_id=request_id) for _ in range(2)]
    assert first == again
    assert (await refused(mine.create(name="b", request_id=request_id))).reason == "REQUEST_ID_REUSED"
    assert len(await mine.ids()) == 1


async def test_a_validation_alone_leaves_nothing(mine: Images) -> None:
    assert (await mine.create(name="a", validate_only=True)).name == "a"
    assert await mine.ids() == set()


async def test_an_id_of_ones_own_is_kept_and_taken_once(mine: Images, theirs: Images) -> None:
    id = ids.new()
    assert (await mine.create(id=id)).id == id
    assert (await refused(theirs.create(id=id))).reason == "ALREADY_EXISTS"


async def test_creations_at_once_cannot_pass_the_quota_together(cloud_house: House, mine: Images) -> None:
    cloud_house.limits.limits["images"] = 5
    ends = await asyncio.gather(*(mine.create() for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, pb.Image) for end in ends) == 5
    assert {end.reason for end in ends if isinstance(end, CloudError)} == {"QUOTA_EXCEEDED"}
    assert len(await mine.ids()) == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "n" * 10_000},
        {"format": 0},
        {"format": 99},
        {"id": "../../etc/passwd"},
        {"sha256": "A" * 64},
        {"tags": ["t", "t"]},
        {"properties": {"": "x"}},
        {"min_disk_gib": -1},
        {"visibility": 77},
    ],
)
async def test_a_wrong_description_is_refused_by_field(mine: Images, fields: dict[str, Any]) -> None:
    refusal = await refused(mine.create(**fields))
    assert refusal.reason == "INVALID_ARGUMENT"
    assert refusal.fields
    assert await mine.ids() == set()


async def test_an_image_belongs_to_a_project(system: Images) -> None:
    assert "project_id" in (await refused(system.create())).fields


async def test_watchers_see_what_they_may_and_nothing_else(
    mine: Images, theirs: Images, admins: Images
) -> None:
    seen: list[tuple[str, str]] = []
    begun, ended = asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        async for event in theirs.stub.WatchImages(verbs.WatchImagesRequest(from_revision=1)):
            seen.append((event.type, event.image.name))
            (ended if event.type == "DELETED" else begun).set()

    await mine.create(name="before")
    own = await theirs.create(name="first")
    watching = asyncio.create_task(watch())
    await begun.wait()
    await mine.create(name="secret")
    await admins.create(name="public", visibility=pb.VISIBILITY_PUBLIC)
    shared = await mine.create(name="shared", visibility=pb.VISIBILITY_SHARED)
    key = {"image_id": shared.id, "member_project_id": theirs.project_id}
    await mine.stub.AddMember(verbs.AddMemberRequest(**key))
    await theirs.stub.SetMemberStatus(verbs.SetMemberStatusRequest(**key, status=pb.MEMBER_STATUS_ACCEPTED))
    await update(mine, shared.id, ["name"], name="renamed")
    await theirs.delete(own.id)
    async with asyncio.timeout(10):
        await ended.wait()
    watching.cancel()
    assert seen == [
        ("CREATED", "first"),
        ("CREATED", "public"),
        ("UPDATED", "renamed"),
        ("DELETED", "first"),
    ]


async def test_a_service_that_acts_for_itself_reaches_every_image(cloud_house: House, mine: Images) -> None:
    image = await mine.create()
    stub = cloud_house.service("image", "compute").stub(ImageServiceStub)
    assert (await stub.GetImage(verbs.GetImageRequest(id=image.id))).id == image.id
