"""The contract's messages as values, and back."""

from typing import Any

from mesh import clock
from mesh.errors import invalid
from services.placement.model import Amounts, Claim, Group, Inventory, Provider
from weft.placement.v1 import resources_pb2 as pb
from weft.placement.v1.allocation_service_pb2 import ClaimAllocationsRequest


def provider(value: Provider) -> pb.Provider:
    """A provider with all that belongs to it."""
    return pb.Provider(
        id=value.id,
        name=value.name,
        parent_id=value.parent_id,
        root_id=value.root_id,
        generation=value.generation,
        inventories=[
            pb.Inventory(
                resource_class=name,
                total=held.total,
                reserved=held.reserved,
                min_unit=held.min_unit,
                max_unit=held.max_unit,
                step_size=held.step_size,
                allocation_ratio=held.allocation_ratio,
                used=value.used.get(name, 0),
            )
            for name, held in sorted(value.inventories.items())
        ],
        traits=sorted(value.traits),
        aggregate_ids=sorted(value.aggregates),
        created_at=clock.to_proto(value.created_at),
        updated_at=clock.to_proto(value.updated_at),
    )


def inventories(given: Any) -> dict[str, Inventory]:
    """Inventories by class. Raises INVALID_ARGUMENT for a class twice, or numbers that do not go together."""
    found: dict[str, Inventory] = {}
    for each in given:
        if each.resource_class in found:
            raise invalid("inventories", f"{each.resource_class} is there twice")
        found[each.resource_class] = Inventory.of(
            each.total,
            each.reserved,
            each.min_unit,
            each.max_unit,
            each.step_size,
            each.allocation_ratio,
        )
    return found


def amounts(given: Any) -> dict[str, dict[str, int]]:
    """Allocations by provider and class; those of one provider are added up."""
    found: dict[str, dict[str, int]] = {}
    for each in given:
        mine = found.setdefault(each.provider_id, {})
        for name, amount in each.resources.items():
            mine[name] = mine.get(name, 0) + amount
    return {id: resources for id, resources in found.items() if resources}


def ways(given: ClaimAllocationsRequest) -> list[Amounts]:
    """What to claim, best first. Raises INVALID_ARGUMENT for a way that allocates nothing, or where there are
    alternatives to more than one provider.
    """
    found: list[Amounts] = [amounts(each.allocations) for each in given.candidates]
    if not all(found):
        raise invalid("candidates", "one of them allocates nothing")
    if given.alternative_provider_ids:
        if len(found[0]) > 1:
            message = "the first candidate has several providers: say whole candidates"
            raise invalid("alternative_provider_ids", message)
        (same,) = found[0].values()
        found += [{id: same} for id in given.alternative_provider_ids]
    return found


def allocations(given: Amounts) -> list[pb.Allocation]:
    """Amounts by provider and class."""
    return [pb.Allocation(provider_id=id, resources=resources) for id, resources in given.items()]


def claim(given: pb.Consumer) -> Claim:
    """Who is to have what."""
    return Claim(
        consumer_id=given.id,
        consumer_type=given.consumer_type,
        project_id=given.project_id,
        user_id=given.user_id,
        operation_id=given.operation_id,
        generation=given.generation,
        allocations=amounts(given.allocations),
    )


def consumer(value: Claim) -> pb.Consumer:
    """A consumer and what it has."""
    return pb.Consumer(
        id=value.consumer_id,
        consumer_type=value.consumer_type,
        project_id=value.project_id,
        user_id=value.user_id,
        generation=value.generation,
        allocations=allocations(dict(sorted(value.allocations.items()))),
        operation_id=value.operation_id,
    )


def group(given: pb.RequestGroup) -> Group:
    """What one provider must have together."""
    return Group(
        resources=dict(sorted(given.resources.items())),
        required=tuple(given.required_traits),
        forbidden=tuple(given.forbidden_traits),
        member_of=tuple(given.member_of),
        not_member_of=tuple(given.not_member_of),
        in_tree=given.in_tree,
    )
