"""What a search found as the answer's bytes: of each provider what is kept of it, and of a thousand ways that
are alike one, in which the provider's id is put.
"""

from collections.abc import Iterable

from mesh.ready import Ready, part
from services.placement.api.messages import allocations
from services.placement.candidates import Found
from services.placement.model import Amounts, Provider
from weft.placement.v1 import candidate_service_pb2 as pb
from weft.placement.v1 import resources_pb2

_FIELDS = pb.ListCandidatesResponse.DESCRIPTOR.fields_by_name
_CANDIDATES, _PROVIDERS = _FIELDS["candidates"].number, _FIELDS["providers"].number
# Stands for a provider's id, which is a UUID: as long, and in no name of a class.
_SOME_ID = "-" * 36


def of(found: Found) -> Ready:
    """A serialized ListCandidatesResponse."""
    removals = [pb.Removal(requirement=name, removed=count) for name, count in found.removals]
    rest = pb.ListCandidatesResponse(removals=removals).SerializeToString()
    return Ready([*_ways(found), *map(_summary, found.providers), rest])


def _ways(found: Found) -> Iterable[bytes]:
    if found.alone is None:
        return [_way(each.root.id, each.allocations) for each in found.together]
    one = _way(_SOME_ID, {_SOME_ID: found.alone} if found.alone else {})
    around = one.split(_SOME_ID.encode())
    return [root.id.encode().join(around) for root in found.providers]


def _way(root_id: str, amounts: Amounts) -> bytes:
    made = resources_pb2.Candidate(root_id=root_id, allocations=allocations(amounts))
    return part(_CANDIDATES, made.SerializeToString())


def _summary(of: Provider) -> bytes:
    """A provider in the view stays the same until it changes, and most do not between two answers."""
    known = of.kept.get("summary")
    if known is None:
        known = of.kept["summary"] = part(_PROVIDERS, _made(of).SerializeToString())
    return known


def _made(of: Provider) -> resources_pb2.ProviderSummary:
    return resources_pb2.ProviderSummary(
        provider_id=of.id,
        parent_id=of.parent_id,
        root_id=of.root_id,
        generation=of.generation,
        capacity={name: held.capacity for name, held in of.inventories.items()},
        used={name: of.used.get(name, 0) for name in of.inventories},
        traits=sorted(of.traits),
    )
