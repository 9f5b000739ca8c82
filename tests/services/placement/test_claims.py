"""Claims: all or nothing, once, and never more than there is."""

import asyncio

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.harness import until
from tests.services.placement.conftest import Placement, held, reason, roots
from weft.placement.v1 import allocation_service_pb2 as pb
from weft.placement.v1 import provider_service_pb2 as provider_pb
from weft.placement.v1.resources_pb2 import Consumer, Inventory


def change(*consumers: Consumer, **more) -> pb.SetAllocationsRequest:
    """A replacement of what these consumers have."""
    return pb.SetAllocationsRequest(consumers=consumers, **more)


async def test_a_claim_takes_the_first_way_with_room(either: Placement) -> None:
    small, large = await either.host("small", VCPU=1), await either.host("large", VCPU=8)
    ways = [{small.id: {"VCPU": 2}}, {large.id: {"VCPU": 2}}]
    claimed = await either.claim(*ways)
    assert [each.provider_id for each in claimed.allocations] == [large.id]
    assert claimed.generation == 1
    assert (await either.used(large.id), await either.used(small.id)) == ({"VCPU": 2}, {"VCPU": 0})


async def test_what_one_candidate_asks_may_be_had_of_other_providers_in_their_order(
    either: Placement,
) -> None:
    full, one, two = [await either.host(name, VCPU=4, MEMORY_MB=64) for name in ("full", "one", "two")]
    wanted = {"VCPU": 3, "MEMORY_MB": 10}
    await either.claim({full.id: wanted})
    order = [two.id, one.id]
    claimed = await either.claim({full.id: wanted}, alternatives=order)
    assert list(claimed.allocations) == held({two.id: wanted})
    assert list((await either.claim({full.id: wanted}, alternatives=order)).allocations) == held(
        {one.id: wanted}
    )
    assert await reason(either.claim({full.id: wanted}, alternatives=order)) == "CAPACITY_EXCEEDED"
    with pytest.raises(CloudError) as caught:
        await either.claim({full.id: {"VCPU": 1}, one.id: {"VCPU": 1}}, alternatives=[two.id])
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert "alternative_provider_ids" in str(caught.value)
    assert [await either.used(host.id) for host in (full, one, two)] == [wanted] * 3


async def test_a_claim_repeated_by_its_operation_answers_the_first(either: Placement) -> None:
    host, other = await either.host("host", VCPU=4), await either.host("other", VCPU=4)
    consumer = {"id": ids.new(), "operation_id": ids.new()}
    first = await either.claim({host.id: {"VCPU": 2}}, **consumer)
    assert await either.claim({other.id: {"VCPU": 2}}, **consumer) == first
    assert await either.used(host.id) == {"VCPU": 2}
    stranger = {**consumer, "operation_id": ids.new()}
    assert await reason(either.claim({other.id: {"VCPU": 2}}, **stranger)) == "GENERATION_CONFLICT"
    moved = await either.claim({other.id: {"VCPU": 2}}, **stranger, generation=first.generation)
    assert (moved.generation, await either.used(host.id)) == (2, {"VCPU": 0})


async def test_fifty_claims_at_once_use_the_capacity_up_and_no_more(either: Placement) -> None:
    hosts = [await either.host(f"host {n}", VCPU=10, MEMORY_MB=4096) for n in range(3)]
    ways = [{host.id: {"VCPU": 1, "MEMORY_MB": 256}} for host in hosts]

    async def claim() -> str:
        try:
            await either.claim(*ways)
        except CloudError as error:
            return error.reason
        return "claimed"

    outcomes = await asyncio.gather(*(claim() for _ in range(50)))
    assert (outcomes.count("claimed"), outcomes.count("CAPACITY_EXCEEDED")) == (30, 20)
    for host in hosts:
        assert await either.used(host.id) == {"VCPU": 10, "MEMORY_MB": 2560}
    assert not roots(await either.find({"VCPU": 1}))


async def test_two_replicas_never_give_more_than_there_is(replicas: list[Placement]) -> None:
    host = await replicas[0].host("host", VCPU=20)

    async def claim(number: int) -> str:
        try:
            await replicas[number % 2].claim({host.id: {"VCPU": 1}})
        except CloudError as error:
            return error.reason
        return "claimed"

    outcomes = await asyncio.gather(*(claim(number) for number in range(50)))
    assert sorted(outcomes) == ["CAPACITY_EXCEEDED"] * 30 + ["claimed"] * 20
    assert await replicas[1].used(host.id) == {"VCPU": 20}
    for replica in replicas:

        async def shows_it(replica: Placement = replica) -> bool:
            return not roots(await replica.find({"VCPU": 1}))

        await until(shows_it)
        assert roots(await replica.find({})) == {host.id}


@pytest.mark.parametrize(
    ("held_as", "amount", "fits"),
    [
        ({"reserved": 2}, 8, True),
        ({"reserved": 2}, 9, False),
        ({"allocation_ratio": 1.55, "max_unit": 100}, 15, True),
        ({"allocation_ratio": 1.55, "max_unit": 100}, 16, False),
        ({"allocation_ratio": 4}, 10, True),
        ({"allocation_ratio": 4}, 11, False),
        ({"min_unit": 2}, 2, True),
        ({"min_unit": 2}, 1, False),
        ({"max_unit": 4}, 4, True),
        ({"max_unit": 4}, 5, False),
        ({"step_size": 3}, 9, True),
        ({"step_size": 3}, 8, False),
    ],
)
async def test_an_amount_fits_alike_in_a_claim_a_candidate_and_a_list(
    world: Placement, held_as: dict, amount: int, fits: bool
) -> None:
    inventory = Inventory(resource_class="VCPU", total=10, **held_as)
    host = await world.sync(id=ids.new(), name="host", inventories=[inventory])
    assert bool(roots(await world.find({"VCPU": amount}))) is fits
    listed = await world.service().providers.ListProviders(
        provider_pb.ListProvidersRequest(resources={"VCPU": amount})
    )
    assert bool(listed.providers) is fits
    if fits:
        await world.claim({host.id: {"VCPU": amount}})
    else:
        assert await reason(world.claim({host.id: {"VCPU": amount}})) == "CAPACITY_EXCEEDED"
    assert await world.used(host.id) == {"VCPU": amount if fits else 0}


async def test_a_refused_claim_says_what_was_missing_where(world: Placement) -> None:
    host = await world.host("host", VCPU=4)
    with pytest.raises(CloudError) as caught:
        await world.claim({host.id: {"VCPU": 5}})
    assert caught.value.metadata == {
        "provider_id": host.id,
        "resource_class": "VCPU",
        "requested": "5",
        "free": "4",
    }
    assert await reason(world.claim({host.id: {"DISK_GB": 1}})) == "CAPACITY_EXCEEDED"
    assert await reason(world.claim({ids.new(): {"VCPU": 1}})) == "NOT_FOUND"
    assert await reason(world.claim({})) == "INVALID_ARGUMENT"


async def test_what_is_given_back_can_be_had_again_and_only_by_its_operation(either: Placement) -> None:
    host = await either.host("host", VCPU=1)
    claimed = await either.claim({host.id: {"VCPU": 1}})
    service = either.service().allocations
    other = pb.DeleteAllocationsRequest(consumer_id=claimed.id, operation_id=ids.new())
    await service.DeleteAllocations(other)
    assert await either.used(host.id) == {"VCPU": 1}
    assert not roots(await either.find({"VCPU": 1}))
    for _ in range(2):
        mine = pb.DeleteAllocationsRequest(consumer_id=claimed.id, operation_id=claimed.operation_id)
        await service.DeleteAllocations(mine)
        assert await either.used(host.id) == {"VCPU": 0}
    nothing = await service.GetAllocations(pb.GetAllocationsRequest(consumer_id=claimed.id))
    assert nothing == Consumer(id=claimed.id)
    assert roots(await either.find({"VCPU": 1})) == {host.id}


async def test_several_consumers_change_together_or_not_at_all(either: Placement) -> None:
    host = await either.host("host", VCPU=4)
    admin = either.user("admin").allocations
    first, second = (Consumer(id=ids.new(), allocations=held({host.id: {"VCPU": 2}})) for _ in "ab")
    after = await admin.SetAllocations(change(first, second))
    assert [each.generation for each in after.consumers] == [1, 1]
    larger = [
        Consumer(id=each.id, generation=1, allocations=held({host.id: {"VCPU": 3}}))
        for each in (first, second)
    ]
    assert await reason(admin.SetAllocations(change(*larger))) == "CAPACITY_EXCEEDED"
    swap = [Consumer(id=first.id, generation=1), larger[1]]
    assert await reason(admin.SetAllocations(change(first, larger[1]))) == "GENERATION_CONFLICT"
    after = await admin.SetAllocations(change(*swap))
    assert [each.generation for each in after.consumers] == [0, 2]
    assert await either.used(host.id) == {"VCPU": 3}
    stale = Consumer(id=second.id, generation=1, allocations=held({host.id: {"VCPU": 4}}))
    assert await reason(admin.SetAllocations(change(stale))) == "GENERATION_CONFLICT"
    forced = await admin.SetAllocations(change(stale, force=True))
    assert forced.consumers[0].generation == 3
    assert await reason(admin.SetAllocations(change(stale, stale, force=True))) == "INVALID_ARGUMENT"
    assert await either.used(host.id) == {"VCPU": 4}


async def test_a_consumer_may_shrink_on_a_host_that_has_less_than_is_used(world: Placement) -> None:
    host = await world.host("host", VCPU=8)
    claimed = await world.claim({host.id: {"VCPU": 8}})
    await world.sync(id=host.id, name="host", inventories=[Inventory(resource_class="VCPU", total=2)])
    admin = world.user("admin").allocations

    def sized(amount: int) -> pb.SetAllocationsRequest:
        return change(Consumer(id=claimed.id, allocations=held({host.id: {"VCPU": amount}})), force=True)

    assert await reason(admin.SetAllocations(sized(9))) == "CAPACITY_EXCEEDED"
    await admin.SetAllocations(sized(2))
    assert await world.used(host.id) == {"VCPU": 2}
    assert await reason(admin.SetAllocations(sized(3))) == "CAPACITY_EXCEEDED"


async def test_usages_are_counted_by_project_and_user(either: Placement) -> None:
    host = await either.host("host", VCPU=10, MEMORY_MB=1000)
    project, ann, bob = ids.new(), ids.new(), ids.new()
    for user, amount in ((ann, 1), (ann, 2), (bob, 4)):
        await either.claim({host.id: {"VCPU": amount, "MEMORY_MB": 100}}, project_id=project, user_id=user)
    await either.claim({host.id: {"VCPU": 1}}, project_id=ids.new())
    reader = either.user("reader").allocations

    async def usages(**who) -> dict[str, int]:
        return dict((await reader.GetUsages(pb.GetUsagesRequest(project_id=project, **who))).usages)

    assert await usages() == {"VCPU": 7, "MEMORY_MB": 300}
    assert await usages(user_id=ann) == {"VCPU": 3, "MEMORY_MB": 200}
    listed = await reader.ListProviderAllocations(
        pb.ListProviderAllocationsRequest(provider_id=host.id, page_size=3)
    )
    assert len(listed.consumers) == 3
    rest = pb.ListProviderAllocationsRequest(
        provider_id=host.id, page_size=3, page_token=listed.next_page_token
    )
    assert len((await reader.ListProviderAllocations(rest)).consumers) == 1


async def test_only_services_claim_and_only_the_systems_administrators_set(world: Placement) -> None:
    host = await world.host("host", VCPU=10)
    request = change(Consumer(id=ids.new(), allocations=held({host.id: {"VCPU": 1}})))
    claim = pb.ClaimAllocationsRequest(
        consumer=Consumer(id=ids.new()), candidates=[{"allocations": held({host.id: {"VCPU": 1}})}]
    )
    assert await reason(world.user("admin").allocations.ClaimAllocations(claim)) == "AUDIENCE_REFUSED"
    for caller in (world.user("reader"), world.user("admin", scope="project")):
        assert await reason(caller.allocations.SetAllocations(request)) == "PERMISSION_DENIED"
    await world.user("admin").allocations.SetAllocations(request)
    assert await world.used(host.id) == {"VCPU": 1}
