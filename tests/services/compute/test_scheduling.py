"""Filters and weighers, one by one."""

from types import SimpleNamespace
from typing import Any

import pytest

from mesh.errors import CloudError
from services.compute.groups import Company
from services.compute.model import needs
from services.compute.scheduling import FILTERS, Wish, choose
from weft.placement.v1.candidate_service_pb2 import ListCandidatesResponse, Removal
from weft.placement.v1.resources_pb2 import Allocation, Candidate, ProviderSummary


def host(**fields: Any) -> Any:
    return SimpleNamespace(**({"status": "UP", "disabled": False, "availability_zone": ""} | fields))


def answer(**free_memory: int) -> ListCandidatesResponse:
    """Candidates with so many of 100 MiB free; two hosts had too few processors."""
    response = ListCandidatesResponse(
        removals=[
            Removal(requirement="hosts", removed=2 + len(free_memory)),
            Removal(requirement="VCPU", removed=2),
        ]
    )
    for name, free in free_memory.items():
        allocation = Allocation(provider_id=name, resources={"MEMORY_MB": 1})
        response.candidates.append(Candidate(root_id=name, allocations=[allocation]))
        used = {"MEMORY_MB": 100 - free, "VCPU": 0}
        capacity = {"MEMORY_MB": 100, "VCPU": 10}
        response.providers.append(
            ProviderSummary(provider_id=name, root_id=name, capacity=capacity, used=used)
        )
    return response


def order(response: ListCandidatesResponse, hosts: dict[str, Any], **wish: Any) -> list[str]:
    return [candidate.root_id for candidate in choose(response, hosts, Wish(**wish))]


def test_the_host_with_most_room_comes_first() -> None:
    hosts = {"a": host(), "b": host(), "c": host()}
    assert order(answer(a=10, b=90, c=50), hosts) == ["b", "c", "a"]


def test_servers_of_one_project_are_spread() -> None:
    hosts = {"a": host(), "b": host()}
    assert order(answer(a=60, b=50), hosts) == ["a", "b"]
    assert order(answer(a=60, b=50), hosts, neighbours={"a": 3}) == ["b", "a"]


def test_a_soft_policy_comes_before_room() -> None:
    hosts, room = {"a": host(), "b": host(), "c": host()}, answer(a=10, b=90, c=50)
    others = {"a": 2, "c": 1}
    assert order(room, hosts, company=Company("SOFT_AFFINITY", 0, others)) == ["a", "c", "b"]
    assert order(room, hosts, company=Company("SOFT_ANTI_AFFINITY", 0, others)) == ["b", "c", "a"]
    assert Company("SOFT_AFFINITY", 0, others).nearest() == ["a", "c"]


def test_who_is_to_be_with_others_waits_while_it_is_not_decided_where_they_are() -> None:
    undecided = Company("AFFINITY", 0, {"a": 1, "b": 1})
    assert not any(undecided.allows(each) for each in "abc")
    assert [each for each in "abc" if Company("AFFINITY", 0, {"b": 2}).allows(each)] == ["b"]
    assert all(Company("AFFINITY").allows(each) for each in "abc")


def test_so_many_of_a_group_are_on_a_host_and_no_more() -> None:
    company = Company("ANTI_AFFINITY", 2, {"a": 1, "b": 2})
    assert [each for each in "abc" if company.allows(each)] == ["a", "c"]


@pytest.mark.parametrize(
    ("hosts", "wish", "name"),
    [
        ({}, {}, "known"),
        ({"a": host(status="DOWN")}, {}, "up"),
        ({"a": host(disabled=True)}, {}, "enabled"),
        ({"a": host()}, {"host_id": "other"}, "requested_host"),
        ({"a": host(availability_zone="north")}, {"availability_zone": "south"}, "availability_zone"),
        ({"a": host()}, {"company": Company("AFFINITY", 0, {"b": 1})}, "server_group"),
        ({"a": host()}, {"among": frozenset({"b"})}, "same_host"),
        ({"a": host()}, {"among": frozenset()}, "same_host"),
        ({"a": host()}, {"apart": frozenset({"a", "b"})}, "different_host"),
        ({"a": host()}, {"excluded": frozenset({"a"})}, "not_excluded"),
    ],
)
def test_each_filter_removes_what_it_is_for(hosts: dict[str, Any], wish: dict[str, Any], name: str) -> None:
    assert order(answer(a=50), {"a": host(availability_zone="south")}, availability_zone="south") == ["a"]
    with pytest.raises(CloudError) as refused:
        order(answer(a=50), hosts, **wish)
    counts = dict(pair.split("=") for pair in refused.value.metadata["filters"].split(","))
    assert counts == {"VCPU": "2"} | {rule.name: str(int(rule.name == name)) for rule in FILTERS}
    assert refused.value.metadata["hosts"] == "3"
    assert refused.value.message == (
        f"No host can take the server. Of 3 there were removed by VCPU 2, {name} 1."
    )


def test_at_most_a_hundred_are_claimed_from() -> None:
    names = {f"h{n}": n % 100 for n in range(150)}
    assert len(order(answer(**names), {name: host() for name in names})) == 100


def test_needs_are_the_flavors_and_traits_the_images_too() -> None:
    flavor = {"vcpus": 2, "memory_mib": 64, "ephemeral_gib": 3, "extra_specs": {}}
    flavor["extra_specs"] = {"resources:VGPU": "1", "trait:HW_A": "required", "trait:HW_B": "forbidden"}
    image = {"trait:CUSTOM_C": "required", "trait:HW_A": "forbidden", "resources:VCPU": "99", "os": "x"}
    found = needs(flavor, 5, image)
    assert found.resources == {"VCPU": 2, "MEMORY_MB": 64, "DISK_GB": 8, "VGPU": 1}
    assert found.required_traits == ["CUSTOM_C", "HW_A"]
    assert found.forbidden_traits == ["HW_B"]
    assert "DISK_GB" not in needs(flavor | {"ephemeral_gib": 0}, 0, {}).resources
