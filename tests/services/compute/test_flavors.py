"""Flavors: who makes them, who sees them, what they may say."""

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, User
from weft.compute.v1.flavor_service_pb2 import (
    AddFlavorAccessRequest,
    CreateFlavorRequest,
    DeleteFlavorRequest,
    GetFlavorRequest,
    ListFlavorAccessRequest,
    ListFlavorsRequest,
    RemoveFlavorAccessRequest,
    UpdateFlavorRequest,
)
from weft.compute.v1.resources_pb2 import Flavor


def _wanted(name: str, **fields: object) -> CreateFlavorRequest:
    return CreateFlavorRequest(**({"name": name, "vcpus": 2, "memory_mib": 1024} | fields))


async def _names(user: User, **filters: object) -> list[str]:
    listed = await user.flavors.ListFlavors(ListFlavorsRequest(**filters))
    return [flavor.name for flavor in listed.flavors]


async def test_a_flavor_is_made_changed_and_deleted(compute: Cloud) -> None:
    id = ids.new()
    made = await compute.admin.flavors.CreateFlavor(_wanted("big", id=id, disk_gib=10))
    assert (made.id, made.public, made.revision) == (id, True, 1)
    new = Flavor(description="roomy", disabled=True)
    changed = await compute.admin.flavors.UpdateFlavor(UpdateFlavorRequest(id=id, flavor=new))
    assert (changed.description, changed.disabled, changed.revision) == ("roomy", True, 2)
    with pytest.raises(CloudError) as stale:
        await compute.admin.flavors.DeleteFlavor(DeleteFlavorRequest(id=id, expected_revision=1))
    assert stale.value.reason == "REVISION_MISMATCH"
    await compute.admin.flavors.DeleteFlavor(DeleteFlavorRequest(id=id, expected_revision=2))
    with pytest.raises(CloudError) as gone:
        await compute.admin.flavors.DeleteFlavor(DeleteFlavorRequest(id=id))
    assert gone.value.reason == "NOT_FOUND"
    await compute.admin.flavors.DeleteFlavor(DeleteFlavorRequest(id=id, allow_missing=True))


async def test_a_name_is_taken_once(compute: Cloud) -> None:
    with pytest.raises(CloudError) as taken:
        await compute.admin.flavors.CreateFlavor(_wanted("small"))
    assert taken.value.reason == "ALREADY_EXISTS"
    assert await _names(compute.admin, name="small") == ["small"]


async def test_a_request_sent_twice_makes_one_flavor_and_a_rehearsal_none(compute: Cloud) -> None:
    request = _wanted("big", request_id=ids.new())
    first = await compute.admin.flavors.CreateFlavor(request)
    assert await compute.admin.flavors.CreateFlavor(request) == first
    request.vcpus = 3
    with pytest.raises(CloudError) as reused:
        await compute.admin.flavors.CreateFlavor(request)
    assert reused.value.reason == "REQUEST_ID_REUSED"
    await compute.admin.flavors.CreateFlavor(_wanted("huge", validate_only=True))
    assert await _names(compute.admin) == ["small", "big"]


async def test_a_private_flavor_is_seen_where_access_was_given(compute: Cloud) -> None:
    private = await compute.admin.flavors.CreateFlavor(_wanted("secret", private=True))
    get = GetFlavorRequest(id=private.id)
    with pytest.raises(CloudError) as hidden:
        await compute.member.flavors.GetFlavor(get)
    assert hidden.value.reason == "NOT_FOUND"
    with pytest.raises(CloudError, match="flavor"):
        await compute.member.boot(name="x", flavor_id=private.id, image_id=compute.image.id)
    given = {"id": private.id, "project_id": compute.member.project_id}
    await compute.admin.flavors.AddFlavorAccess(AddFlavorAccessRequest(**given))
    await compute.admin.flavors.AddFlavorAccess(AddFlavorAccessRequest(**given))
    who = ListFlavorAccessRequest(id=given["id"])
    assert (await compute.admin.flavors.ListFlavorAccess(who)).project_ids == [given["project_id"]]
    assert (await compute.member.flavors.GetFlavor(get)).name == "secret"
    assert await _names(compute.stranger) == ["small"]
    await compute.admin.flavors.RemoveFlavorAccess(RemoveFlavorAccessRequest(**given))
    assert (await compute.admin.flavors.ListFlavorAccess(who)).project_ids == []
    assert await _names(compute.member) == ["small"]


async def test_lists_are_filtered_and_come_in_pages(compute: Cloud) -> None:
    for n in range(5):
        await compute.admin.flavors.CreateFlavor(_wanted(f"f{n}", memory_mib=1024 * (n + 1)))
    assert await _names(compute.member, min_memory_mib=4096) == ["f3", "f4"]
    request, seen = ListFlavorsRequest(page_size=4), []
    while True:
        page = await compute.member.flavors.ListFlavors(request)
        seen += [flavor.name for flavor in page.flavors]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == ["small", "f0", "f1", "f2", "f3", "f4"]


async def test_wishes_that_placement_would_not_understand_are_refused(compute: Cloud) -> None:
    for key, value in (
        ("trait:HW_X", "perhaps"),
        ("trait:lower", "required"),
        ("resources:VGPU", "-1"),
        ("resources:VCPU", "2"),
    ):
        with pytest.raises(CloudError) as refused:
            await compute.admin.flavors.CreateFlavor(_wanted("odd", extra_specs={key: value}))
        assert refused.value.reason == "INVALID_ARGUMENT"
    fine = {"trait:HW_X": "required", "resources:VGPU": "1", "quota:anything": "goes"}
    assert (await compute.admin.flavors.CreateFlavor(_wanted("fine", extra_specs=fine))).extra_specs == fine


async def test_only_administrators_make_flavors(compute: Cloud) -> None:
    with pytest.raises(CloudError) as refused:
        await compute.member.flavors.CreateFlavor(_wanted("mine"))
    assert refused.value.reason == "PERMISSION_DENIED"
