"""What a search found, as bytes put together of parts, against the same made as a message."""

from dataclasses import replace
from uuid import NAMESPACE_OID, uuid5

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.placement.api import answers
from services.placement.candidates import Candidates, Found
from services.placement.model import Provider
from tests.services.placement.test_candidates import forests, group
from weft.placement.v1 import candidate_service_pb2 as pb
from weft.placement.v1.resources_pb2 import Allocation, Candidate, ProviderSummary


def plain(found: Found) -> pb.ListCandidatesResponse:
    """The answer made field by field."""
    return pb.ListCandidatesResponse(
        candidates=[
            Candidate(
                root_id=way.root.id,
                allocations=[
                    Allocation(provider_id=id, resources=amounts) for id, amounts in way.allocations.items()
                ],
            )
            for way in found.candidates
        ],
        providers=map(summary, found.providers),
        removals=[pb.Removal(requirement=name, removed=count) for name, count in found.removals],
    )


def summary(of: Provider) -> ProviderSummary:
    """A provider made field by field."""
    return ProviderSummary(
        provider_id=of.id,
        parent_id=of.parent_id,
        root_id=of.root_id,
        generation=of.generation,
        capacity={name: held.capacity for name, held in of.inventories.items()},
        used={name: of.used.get(name, 0) for name in of.inventories},
        traits=sorted(of.traits),
    )


def named(provider: Provider) -> Provider:
    """The same with ids as they are kept."""
    ids = {key: getattr(provider, key) for key in ("id", "root_id", "parent_id")}
    return replace(provider, **{key: str(uuid5(NAMESPACE_OID, id)) if id else "" for key, id in ids.items()})


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(forests(), st.lists(group, min_size=1, max_size=3), st.booleans(), st.integers(0, 2**40))
def test_an_answer_put_together_says_what_one_made_at_once_does(providers, groups, share, more) -> None:
    view = Candidates()
    for provider in providers:
        view.put(named(provider))
    for _ in range(2):  # what is kept of them too
        found = view.find(groups, share=share, exclude=(), limit=10_000)
        assert pb.ListCandidatesResponse.FromString(answers.of(found).content) == plain(found)
    changed = replace(named(providers[0]), generation=2 + more)
    view.put(changed)
    found = view.find(groups, share=share, exclude=(), limit=10_000)
    assert pb.ListCandidatesResponse.FromString(answers.of(found).content) == plain(found)
