"""Candidates in memory, against an oracle that does it one provider at a time."""

from datetime import UTC, datetime
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh import ids
from services.placement.candidates import Candidates
from services.placement.model import Group, Inventory, Provider
from tests.services.placement.conftest import Placement, roots
from weft.placement.v1 import provider_service_pb2 as provider_pb
from weft.placement.v1.resources_pb2 import RequestGroup

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES, TRAITS, AGGREGATES = ("VCPU", "MEMORY_MB"), ("T1", "T2"), ("a1", "a2")


def takes(provider: Provider, amounts: dict[str, int]) -> bool:
    """Whether one allocation of these amounts can be had, as the contract says it."""
    for name, amount in amounts.items():
        held = provider.inventories.get(name)
        if held is None or not held.min_unit <= amount <= held.max_unit or amount % held.step_size:
            return False
        if amount > held.capacity - provider.used.get(name, 0):
            return False
    return True


def satisfies(provider: Provider, group: Group, tree_of: dict[str, str]) -> bool:
    """Whether the provider satisfies the group by itself."""
    return (
        takes(provider, dict(group.resources))
        and set(group.required) <= provider.traits
        and not set(group.forbidden) & provider.traits
        and (not group.member_of or bool(set(group.member_of) & provider.aggregates))
        and not set(group.not_member_of) & provider.aggregates
        and (not group.in_tree or tree_of.get(group.in_tree) == provider.root_id)
    )


def oracle(providers: list[Provider], groups: list[Group], share: bool, exclude: list[str]) -> set:
    """Every way, as (root, allocations)."""
    tree_of = {provider.id: provider.root_id for provider in providers}
    by_id = {provider.id: provider for provider in providers}
    ways = set()
    for root in providers:
        if root.id != root.root_id or root.id in exclude:
            continue
        tree = [provider for provider in providers if provider.root_id == root.id]
        for chosen in product([root], *[tree] * (len(groups) - 1)):
            if not share and len({each.id for each in chosen}) < len(chosen):
                continue
            pairs = list(zip(chosen, groups, strict=True))
            if not all(satisfies(provider, group, tree_of) for provider, group in pairs):
                continue
            sums: dict[str, dict[str, int]] = {}
            for provider, group in pairs:
                for name, amount in group.resources.items():
                    mine = sums.setdefault(provider.id, {})
                    mine[name] = mine.get(name, 0) + amount
            if all(takes(by_id[id], amounts) for id, amounts in sums.items()):
                ways.add((root.id, frozen(sums)))
    return ways


def frozen(amounts) -> frozenset:
    """Amounts as something that can be in a set."""
    return frozenset((id, name, amount) for id, each in amounts.items() for name, amount in each.items())


inventory = st.builds(
    Inventory.of,
    total=st.integers(1, 8),
    reserved=st.integers(0, 1),
    min_unit=st.integers(0, 1),
    max_unit=st.integers(0, 8),
    step_size=st.integers(0, 3),
    allocation_ratio=st.sampled_from([0.0, 0.5, 1.5, 4.0]),
)
held = st.dictionaries(st.sampled_from(CLASSES), inventory)
group = st.builds(
    Group,
    resources=st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 6), max_size=2),
    required=st.sets(st.sampled_from(TRAITS), max_size=1).map(tuple),
    forbidden=st.sets(st.sampled_from(TRAITS), max_size=1).map(tuple),
    member_of=st.sets(st.sampled_from(AGGREGATES), max_size=2).map(tuple),
    not_member_of=st.sets(st.sampled_from(AGGREGATES), max_size=1).map(tuple),
    in_tree=st.sampled_from(["", "", "", "p0", "p3", "unknown"]),
)


@st.composite
def forests(draw) -> list[Provider]:
    """Up to eight providers; each is a root, or a child of one before it."""
    made: list[Provider] = []
    for number in range(draw(st.integers(1, 8))):
        parent = draw(st.one_of(st.none(), st.sampled_from(made))) if made else None
        inventories = draw(held)
        made.append(
            Provider(
                id=f"p{number}",
                name=f"p{number}",
                parent_id=parent.id if parent else "",
                root_id=parent.root_id if parent else f"p{number}",
                generation=1,
                created_at=NOW,
                updated_at=NOW,
                inventories=inventories,
                used={name: draw(st.integers(0, 6)) for name in inventories},
                traits=frozenset(draw(st.sets(st.sampled_from(TRAITS)))),
                aggregates=frozenset(draw(st.sets(st.sampled_from(AGGREGATES)))),
            )
        )
    return made


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    forests(),
    forests(),
    st.lists(group, min_size=1, max_size=3),
    st.booleans(),
    st.lists(st.sampled_from(["p0", "p1"])),
)
def test_candidates_are_exactly_those_of_the_oracle(before, providers, groups, share, exclude) -> None:
    view = Candidates()
    for provider in before:
        view.put(provider)
    for provider in before:
        view.drop(provider.id) if int(provider.id[1:]) % 2 else None
    for provider in before:
        if provider.id not in {each.id for each in providers}:
            view.drop(provider.id)
    for provider in reversed(providers):
        view.put(provider)
    found = view.find(groups, share=share, exclude=exclude, limit=10_000)
    ways = [(way.root.id, frozen(way.allocations)) for way in found.candidates]
    expected = oracle(providers, groups, share, exclude)
    assert set(ways) == expected
    named = {id for way in found.candidates for id in (way.root.id, *way.allocations)}
    assert {provider.id for provider in found.providers} == named
    hosts = sum(provider.id == provider.root_id for provider in providers)
    assert found.removals[0] == ("hosts", hosts)
    left = hosts - sum(count for _, count in found.removals[1:])
    assert left == len({root for root, _ in expected})


async def test_each_requirement_says_how_many_hosts_it_removed(world: Placement) -> None:
    await world.host("small", "HW_CPU_X86_AVX2", VCPU=1, MEMORY_MB=100)
    await world.host("plain", VCPU=8, MEMORY_MB=100)
    good = await world.host("good", "HW_CPU_X86_AVX2", VCPU=8, MEMORY_MB=100)
    out = await world.host("excluded", "HW_CPU_X86_AVX2", VCPU=8, MEMORY_MB=100)
    wanted = RequestGroup(resources={"VCPU": 2, "MEMORY_MB": 50}, required_traits=["HW_CPU_X86_AVX2"])
    answer = await world.find(wanted, exclude_roots=[out.id])
    assert [(each.requirement, each.removed) for each in answer.removals] == [
        ("hosts", 4),
        ("excluded", 1),
        ("trait:HW_CPU_X86_AVX2", 1),
        ("MEMORY_MB", 0),
        ("VCPU", 1),
    ]
    (candidate,) = answer.candidates
    assert candidate.root_id == good.id
    assert dict(candidate.allocations[0].resources) == {"VCPU": 2, "MEMORY_MB": 50}
    (summary,) = answer.providers
    assert (dict(summary.capacity), dict(summary.used)) == (
        {"VCPU": 8, "MEMORY_MB": 100},
        {"VCPU": 0, "MEMORY_MB": 0},
    )


async def test_the_view_shows_every_change_at_once(either: Placement) -> None:
    host = await either.host("host", VCPU=2)
    admin, aggregate = either.user("admin").providers, ids.new()
    in_aggregate = RequestGroup(resources={"VCPU": 1}, member_of=[aggregate])
    assert not roots(await either.find(in_aggregate))
    await admin.SetAggregates(provider_pb.SetAggregatesRequest(id=host.id, aggregate_ids=[aggregate]))
    assert roots(await either.find(in_aggregate)) == {host.id}
    await either.claim({host.id: {"VCPU": 2}})
    assert not roots(await either.find(in_aggregate))
    await either.sync(id=host.id, name="host", inventories=[{"resource_class": "VCPU", "total": 4}])
    assert roots(await either.find({"VCPU": 2})) == {host.id}


async def test_a_limit_is_kept_and_does_not_always_name_the_same_hosts(world: Placement) -> None:
    hosts = {(await world.host(f"host {n}", VCPU=1)).id for n in range(6)}
    seen: set[str] = set()
    for _ in range(60):
        found = roots(await world.find({"VCPU": 1}, limit=2))
        assert len(found) == 2
        seen |= found
    assert seen == hosts


async def test_many_groups_that_cannot_be_satisfied_end_the_search(world: Placement) -> None:
    host = await world.host("host")
    for number in range(12):
        await world.host(f"part {number}", parent_id=host.id, VGPU=1)
    answer = await world.find({}, *[{"VGPU": 1}] * 13)
    assert not answer.candidates
    assert [each.removed for each in answer.removals if each.requirement == "together"] == [1]
    assert (await world.find({}, *[{"VGPU": 1}] * 12, limit=1)).candidates
