"""Volume types, and the pools that hosts report."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from mesh import ids
from tests.services.block.conftest import GIB, Block, Cloud
from tests.services.block.test_volumes import refused
from weft.block.v1 import pool_service_pb2 as pool_verbs
from weft.block.v1 import resources_pb2 as pb
from weft.block.v1 import volume_type_service_pb2 as verbs


async def create(block: Block, name: str, **fields: Any) -> pb.VolumeType:
    """A new type."""
    return await block.types.CreateVolumeType(verbs.CreateVolumeTypeRequest(name=name, **fields))


async def change(block: Block, id: str, paths: list[str], **fields: Any) -> pb.VolumeType:
    """Change a type."""
    mask = FieldMask(paths=paths)
    request = verbs.UpdateVolumeTypeRequest(id=id, volume_type=pb.VolumeType(**fields), update_mask=mask)
    return await block.types.UpdateVolumeType(request)


async def listed(block: Block) -> dict[str, pb.VolumeType]:
    """Types by name."""
    answer = await block.types.ListVolumeTypes(verbs.ListVolumeTypesRequest())
    return {type_.name: type_ for type_ in answer.volume_types}


async def test_there_is_a_default_from_the_first_moment(mine: Block) -> None:
    types = await listed(mine)
    assert [type_.default for type_ in types.values()] == [True]
    assert (await mine.make()).volume_type_id == types["standard"].id


async def test_exactly_one_type_is_the_default(mine: Block, system: Block) -> None:
    standard = (await listed(mine))["standard"]
    fast = await create(system, "fast", default=True)
    assert {name for name, type_ in (await listed(mine)).items() if type_.default} == {"fast"}
    assert (await mine.make()).volume_type_id == fast.id
    assert (await refused(change(system, fast.id, ["default"], default=False))).reason == "WRONG_STATUS"
    await change(system, standard.id, ["default"], default=True)
    assert {name for name, type_ in (await listed(mine)).items() if type_.default} == {"standard"}
    assert "default" in (await refused(create(system, "hidden", default=True, private=True))).fields


async def test_names_of_types_are_unique(system: Block) -> None:
    other = await create(system, "fast")
    assert (await refused(create(system, "fast"))).reason == "ALREADY_EXISTS"
    assert (await refused(change(system, other.id, ["name"], name="standard"))).reason == "ALREADY_EXISTS"
    assert (await change(system, other.id, ["name"], name="fast")).name == "fast"


async def test_a_private_type_is_for_administrators(mine: Block, system: Block) -> None:
    private = await create(system, "private", private=True)
    assert "private" not in await listed(mine)
    assert "private" in await listed(system)
    assert (await refused(mine.create(1, volume_type_id=private.id))).reason == "NOT_FOUND"
    assert (await refused(create(mine, "mine"))).reason == "PERMISSION_DENIED"


async def test_a_type_goes_only_unused_and_never_as_the_default(mine: Block, system: Block) -> None:
    fast = await create(system, "fast")
    volume = await mine.make(1, volume_type_id=fast.id)

    async def delete(id: str, **fields: Any) -> None:
        await system.types.DeleteVolumeType(verbs.DeleteVolumeTypeRequest(id=id, **fields))

    assert (await refused(delete(fast.id))).metadata["used_by_id"] == volume.id
    assert (await refused(delete((await listed(mine))["standard"].id))).reason == "WRONG_STATUS"
    await mine.operation_ended((await mine.delete(volume.id)).operation_id)
    await delete(fast.id)
    await delete(fast.id, allow_missing=True)
    assert "fast" not in await listed(system)


async def test_a_types_backend_chooses_among_pools(mine: Block, system: Block) -> None:
    on_files, on_ceph = (
        await create(system, "files", backend="file"),
        await create(system, "ceph", backend="rbd"),
    )
    assert (await mine.make(1, volume_type_id=on_files.id)).status == pb.VOLUME_STATUS_AVAILABLE
    assert (await refused(mine.create(1, volume_type_id=on_ceph.id))).reason == "UNAVAILABLE"


async def test_a_pool_shows_what_is_allocated_in_it(mine: Block, system: Block, world: Cloud) -> None:
    host = world.hosts[0]
    volume = await mine.make(3, near_host_id=host.id)
    await mine.snapshot(volume.id)
    pool = await system.pools.GetPool(pool_verbs.GetPoolRequest(id=host.pool_id))
    assert (pool.capacity_bytes, pool.allocated_bytes) == (100 * GIB, 6 * GIB)
    listed = await system.pools.ListPools(pool_verbs.ListPoolsRequest(host_id=host.id))
    assert [pool.id for pool in listed.pools] == [host.pool_id]


async def test_a_report_again_changes_only_what_is_new(world: Cloud) -> None:
    host = world.hosts[0]
    first, again = await world.register(host), await world.register(host)
    assert again.revision == first.revision
    assert again.last_seen_at.ToNanoseconds() > first.last_seen_at.ToNanoseconds()
    larger = await world.register(host, capacity_bytes=200 * GIB)
    assert (larger.revision, larger.capacity_bytes) == (first.revision + 1, 200 * GIB)


async def test_a_host_registers_its_own_pools_alone(world: Cloud) -> None:
    first, second = world.hosts
    assert (await refused(world.register(first, host_id=second.id))).reason == "PERMISSION_DENIED"
    assert (await refused(world.register(first, id=second.pool_id))).reason == "PERMISSION_DENIED"
    assert (await world.register(first, id=ids.new())).host_id == first.id
    assert (await refused(world.register(first, backend="rbd"))).reason == "UNSUPPORTED"
    assert "pool.host_address" in (await refused(world.register(first, host_address=""))).fields


async def test_a_disabled_pool_takes_no_new_volumes_and_a_zone_is_kept_to(
    mine: Block, system: Block, world: Cloud
) -> None:
    async def update(pool_id: str, paths: list[str], **fields: Any) -> pb.Pool:
        request = pool_verbs.UpdatePoolRequest(
            id=pool_id, pool=pb.Pool(backend="file", **fields), update_mask=FieldMask(paths=paths)
        )
        return await system.pools.UpdatePool(request)

    first, second = world.hosts
    kept = await mine.make(1, near_host_id=first.id)
    await update(first.pool_id, ["disabled"], disabled=True)
    await update(second.pool_id, ["availability_zone"], availability_zone="east")
    moved = await mine.make(1, near_host_id=first.id, availability_zone="east")
    assert (await system.get(moved.id)).pool_id == second.pool_id
    assert (await refused(mine.create(1, availability_zone="west"))).reason == "UNAVAILABLE"
    await mine.extend(kept.id, 2)
    assert (await mine.settled(kept.id)).size_gib == 2
    read = pool_verbs.ListPoolsRequest()
    assert (await refused(mine.pools.ListPools(read))).reason == "PERMISSION_DENIED"
