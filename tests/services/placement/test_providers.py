"""Providers, their trees and what belongs to them."""

from mesh import ids
from tests.services.placement.conftest import Placement, reason, roots
from weft.placement.v1 import class_service_pb2 as class_pb
from weft.placement.v1 import provider_service_pb2 as pb
from weft.placement.v1.resources_pb2 import Inventory


async def test_a_sync_makes_a_provider_be_so_and_again_changes_nothing(either: Placement) -> None:
    said = {
        "id": ids.new(),
        "name": "host",
        "inventories": [Inventory(resource_class="VCPU", total=4, allocation_ratio=4.0)],
        "traits": ["HW_CPU_X86_AVX2", "CUSTOM_NEW"],
    }
    first = await either.sync(**said)
    assert (first.root_id, list(first.traits)) == (first.id, ["CUSTOM_NEW", "HW_CPU_X86_AVX2"])
    assert await either.sync(**said) == first
    admin = either.user("admin").providers
    aggregate = ids.new()
    tagged = await admin.SetAggregates(pb.SetAggregatesRequest(id=first.id, aggregate_ids=[aggregate]))
    changed = await either.sync(**{**said, "traits": [], "name": "renamed"})
    assert (list(changed.traits), list(changed.aggregate_ids), changed.name) == ([], [aggregate], "renamed")
    assert changed.generation > tagged.generation > first.generation


async def test_an_inventory_that_is_used_cannot_go(either: Placement) -> None:
    host = await either.host("host", VCPU=4, DISK_GB=10)
    await either.claim({host.id: {"VCPU": 1}})
    admin = either.user("admin").providers
    without = pb.SetInventoriesRequest(
        id=host.id, inventories=[Inventory(resource_class="DISK_GB", total=10)]
    )
    assert await reason(admin.SetInventories(without)) == "IN_USE"
    assert await reason(admin.DeleteProvider(pb.DeleteProviderRequest(id=host.id))) == "IN_USE"
    kept = pb.SetInventoriesRequest(id=host.id, inventories=[Inventory(resource_class="VCPU", total=2)])
    assert [each.used for each in (await admin.SetInventories(kept)).inventories] == [1]


async def test_a_change_is_bound_to_the_generation_that_was_read(world: Placement) -> None:
    host = await world.host("host", VCPU=4)
    admin = world.user("admin").providers
    await world.claim({host.id: {"VCPU": 1}})
    stale = {"id": host.id, "generation": host.generation}
    for call in (
        admin.SetInventories(pb.SetInventoriesRequest(**stale)),
        admin.SetTraits(pb.SetTraitsRequest(**stale)),
        admin.SetAggregates(pb.SetAggregatesRequest(**stale)),
        admin.UpdateProvider(pb.UpdateProviderRequest(**stale, name="other")),
    ):
        assert await reason(call) == "GENERATION_CONFLICT"
    now = (await admin.GetProvider(pb.GetProviderRequest(id=host.id))).generation
    changed = await admin.SetTraits(
        pb.SetTraitsRequest(id=host.id, generation=now, traits=["STORAGE_DISK_SSD"])
    )
    assert changed.generation == now + 1
    unknown = pb.SetTraitsRequest(id=host.id, traits=["CUSTOM_UNHEARD_OF"])
    assert await reason(admin.SetTraits(unknown)) == "NOT_FOUND"
    twice = [Inventory(resource_class="VCPU", total=1)] * 2
    request = pb.SetInventoriesRequest(id=host.id, inventories=twice)
    assert await reason(admin.SetInventories(request)) == "INVALID_ARGUMENT"


async def test_a_tree_moves_as_a_whole_and_never_below_itself(either: Placement) -> None:
    left, right = await either.host("left"), await either.host("right")
    middle = await either.host("middle", parent_id=left.id)
    leaf = await either.host("leaf", parent_id=middle.id, VGPU=1)
    admin = either.user("admin").providers
    loop = pb.UpdateProviderRequest(id=left.id, parent_id=leaf.id)
    assert await reason(admin.UpdateProvider(loop)) == "INVALID_ARGUMENT"
    unknown = pb.UpdateProviderRequest(id=left.id, parent_id=ids.new())
    assert await reason(admin.UpdateProvider(unknown)) == "INVALID_ARGUMENT"
    assert roots(await either.find({}, {"VGPU": 1})) == {left.id}
    await admin.UpdateProvider(pb.UpdateProviderRequest(id=middle.id, parent_id=right.id))
    assert (await admin.GetProvider(pb.GetProviderRequest(id=leaf.id))).root_id == right.id
    assert roots(await either.find({}, {"VGPU": 1})) == {right.id}
    in_tree = await admin.ListProviders(pb.ListProvidersRequest(in_tree=leaf.id))
    assert {each.name for each in in_tree.providers} == {"right", "middle", "leaf"}
    assert await reason(admin.DeleteProvider(pb.DeleteProviderRequest(id=middle.id))) == "IN_USE"
    await admin.DeleteProvider(pb.DeleteProviderRequest(id=leaf.id))
    assert not roots(await either.find({}, {"VGPU": 1}))
    again = pb.DeleteProviderRequest(id=leaf.id)
    assert await reason(admin.DeleteProvider(again)) == "NOT_FOUND"
    await admin.DeleteProvider(pb.DeleteProviderRequest(id=leaf.id, allow_missing=True))


async def test_names_and_ids_of_providers_are_unique(either: Placement) -> None:
    admin = either.user("admin").providers
    made = await admin.CreateProvider(pb.CreateProviderRequest(name="host"))
    for clash in ({"name": "host"}, {"name": "other", "id": made.id}):
        assert await reason(admin.CreateProvider(pb.CreateProviderRequest(**clash))) == "ALREADY_EXISTS"
    assert await reason(either.sync(id=ids.new(), name="host")) == "ALREADY_EXISTS"
    other = await admin.CreateProvider(pb.CreateProviderRequest(name="other", id=ids.new()))
    rename = pb.UpdateProviderRequest(id=other.id, name="host")
    assert await reason(admin.UpdateProvider(rename)) == "ALREADY_EXISTS"
    request = pb.CreateProviderRequest(name="once", request_id=ids.new())
    first, second = [await admin.CreateProvider(request) for _ in range(2)]
    assert first == second


async def test_providers_are_listed_by_every_filter(either: Placement) -> None:
    admin = either.user("admin").providers
    big = await either.host("big", "HW_CPU_X86_AVX2", VCPU=16)
    small = await either.host("small", VCPU=2)
    aggregate = ids.new()
    await admin.SetAggregates(pb.SetAggregatesRequest(id=small.id, aggregate_ids=[aggregate]))

    async def listed(**filters) -> set[str]:
        return {
            each.name for each in (await admin.ListProviders(pb.ListProvidersRequest(**filters))).providers
        }

    assert await listed() == {"big", "small"}
    assert await listed(name="big") == {"big"}
    assert await listed(resources={"VCPU": 3}) == {"big"}
    assert await listed(required_traits=["HW_CPU_X86_AVX2"]) == {"big"}
    assert await listed(member_of=[ids.new(), aggregate]) == {"small"}
    assert await listed(in_tree=big.id) == {"big"}
    assert await listed(in_tree=ids.new()) == set()


async def test_providers_are_found_by_their_own_room_whatever_others_have_given_away(
    either: Placement,
) -> None:
    empty, full = await either.host("empty", VCPU=4), await either.host("full", VCPU=4)
    await either.claim({full.id: {"VCPU": 4}})
    asked = pb.ListProvidersRequest(resources={"VCPU": 4})
    found = await either.user("admin").providers.ListProviders(asked)
    assert [each.name for each in found.providers] == [empty.name]


async def test_standard_names_are_there_and_stay_and_custom_ones_come_and_go(either: Placement) -> None:
    admin = either.user("admin").classes
    listed = await admin.ListTraits(class_pb.ListTraitsRequest(prefix="HW_CPU_X86_AVX", page_size=1000))
    assert "HW_CPU_X86_AVX512F" in {trait.name for trait in listed.traits}
    assert all(trait.standard for trait in listed.traits)
    classes = await admin.ListResourceClasses(class_pb.ListResourceClassesRequest())
    assert {"VCPU", "MEMORY_MB", "DISK_GB"} <= {each.name for each in classes.resource_classes}
    standard = class_pb.DeleteTraitRequest(name="HW_CPU_X86_AVX2")
    assert await reason(admin.DeleteTrait(standard)) == "WRONG_STATUS"
    for _ in range(2):
        await admin.CreateTrait(class_pb.CreateTraitRequest(name="CUSTOM_GOLD"))
    host = await either.host("host", "CUSTOM_GOLD", CUSTOM_LICENCE=3)
    assert await reason(admin.DeleteTrait(class_pb.DeleteTraitRequest(name="CUSTOM_GOLD"))) == "IN_USE"
    used = class_pb.DeleteResourceClassRequest(name="CUSTOM_LICENCE")
    assert await reason(admin.DeleteResourceClass(used)) == "IN_USE"
    await either.sync(id=host.id, name="host")
    await admin.DeleteTrait(class_pb.DeleteTraitRequest(name="CUSTOM_GOLD"))
    await admin.DeleteResourceClass(used)
    gone = class_pb.DeleteTraitRequest(name="CUSTOM_GOLD")
    assert await reason(admin.DeleteTrait(gone)) == "NOT_FOUND"
    assert await reason(admin.CreateTrait(class_pb.CreateTraitRequest(name="gold"))) == "INVALID_ARGUMENT"


async def test_what_a_project_may_not_see_it_does_not_see(world: Placement) -> None:
    await world.host("host", VCPU=1)
    member = world.user("member", scope="project").providers
    assert await reason(member.ListProviders(pb.ListProvidersRequest())) == "PERMISSION_DENIED"
    reader = world.user("reader").providers
    assert len((await reader.ListProviders(pb.ListProvidersRequest())).providers) == 1
