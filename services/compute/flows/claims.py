"""Room on a host, as flows claim it of placement and give it back."""

from dataclasses import dataclass
from typing import Any

from mesh.database import Connection
from mesh.errors import CloudError
from mesh.flow import Run
from services.compute import scheduling
from services.compute.groups import Company
from services.compute.store import hosts, server_groups, servers
from weft.placement.v1.allocation_service_pb2 import (
    ClaimAllocationsRequest,
    DeleteAllocationsRequest,
    GetAllocationsRequest,
    SetAllocationsRequest,
)
from weft.placement.v1.allocation_service_pb2_grpc import AllocationServiceStub
from weft.placement.v1.candidate_service_pb2 import ListCandidatesRequest, ListCandidatesResponse
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceStub
from weft.placement.v1.resources_pb2 import Allocation, Candidate, Consumer, RequestGroup

# Others may fill every host of a list before it is claimed from: so often a new list is asked for.
_ATTEMPTS = 3
# So often another server of the group may take the place that was chosen.
_RACES = 32
# Placement begins anywhere among the hosts that have room: the best of so many is good enough, and a thousand
# are a megabyte to be read. Where every one of them is refused here, many are asked for.
_FEW, _MANY = 32, 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be claimed, and for whom: `needs` are model.Needs as an input has them. `same_host` and
    `different_host` are ids of servers.
    """

    consumer_id: str
    needs: dict[str, Any]
    host_id: str = ""
    availability_zone: str = ""
    excluded: frozenset[str] = frozenset()
    server_group_id: str = ""
    same_host: tuple[str, ...] = ()
    different_host: tuple[str, ...] = ()


async def claim(run: Run, ask: Ask) -> dict[str, Any]:
    """The host on which the consumer holds now what it needs: the best one. Raises NO_VALID_HOST."""
    for _ in range(_RACES):
        host = await _host_of(run, await _allocations_for(run, ask))
        if not ask.server_group_id or await _take_place(run, ask, host["host_id"]):
            return host
        await release(run, ask.consumer_id)  # another server of the group was faster
    raise scheduling.no_valid_host([("server_group", _RACES)])


async def unclaim(run: Run, consumer_id: str, host_id: str = "") -> None:
    """Give back what this operation holds for the consumer, and every place in the server's group but that on
    `host_id`.
    """
    await release(run, consumer_id)
    if run.input.get("server_group_id"):
        await run.app.database.write(server_groups.stay, run.target_id, host_id)


async def _allocations_for(run: Run, ask: Ask) -> list[Allocation]:
    """What the consumer holds now. Raises NO_VALID_HOST."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            candidates = await _candidates(run, ask)
            return list((await _claim(run, ask, candidates)).allocations)
        except CloudError as error:
            if error.reason == "CAPACITY_EXCEEDED" and attempt < _ATTEMPTS:
                continue
            held = await _held_already(run, ask)
            if held:
                return held
            if error.reason == "CAPACITY_EXCEEDED":
                raise scheduling.no_valid_host([("claimed_by_others", scheduling.MOST_CLAIMED)]) from error
            raise
    raise AssertionError("unreachable")


async def _host_of(run: Run, held: list[Allocation]) -> dict[str, Any]:
    """The host among the providers."""
    known = await run.app.database.peek(hosts.all_, [allocation.provider_id for allocation in held])
    host = next(known[a.provider_id] for a in held if a.provider_id in known)
    return {"host_id": host.id, "host_name": host.name}


async def _take_place(run: Run, ask: Ask, host_id: str) -> bool:
    database, group_id = run.app.database, ask.server_group_id
    return await database.write(server_groups.take_place, group_id, run.target_id, host_id)


async def release(run: Run, consumer_id: str) -> None:
    """Give back what this operation holds for the consumer."""
    request = DeleteAllocationsRequest(consumer_id=consumer_id, operation_id=run.operation_id)
    await allocations(run).DeleteAllocations(request)


async def held_by(run: Run, consumer_id: str) -> Consumer:
    """What a consumer has."""
    return await allocations(run).GetAllocations(GetAllocationsRequest(consumer_id=consumer_id))


async def replace(run: Run, *consumers: Consumer) -> None:
    """Let these have what they say, all at once, whatever they had."""
    await allocations(run).SetAllocations(SetAllocationsRequest(consumers=consumers, force=True))


def consumer(run: Run, id: str) -> Consumer:
    """A consumer of the operation's project, that has nothing yet."""
    return Consumer(
        id=id,
        consumer_type="server",
        project_id=run.project_id,
        user_id=run.caller.user_id,
        operation_id=run.operation_id,
    )


def allocations(run: Run) -> Any:
    """Placement's AllocationService."""
    return run.app.peers.stub(AllocationServiceStub, service="placement")


async def _candidates(run: Run, ask: Ask) -> list[Candidate]:
    """Where others of its group are first, then among a few hosts, then among many. Raises NO_VALID_HOST."""
    company = Company()
    if ask.server_group_id:
        company = await run.app.database.peek(server_groups.company, ask.server_group_id, run.target_id)
    among = await _hosts(run, ask.same_host) if ask.same_host else None
    apart = await _hosts(run, ask.different_host) if ask.different_host else frozenset()
    near = dict.fromkeys((*company.nearest(), *sorted(among or ())))
    looks = [] if ask.host_id else [(host_id, _FEW) for host_id in near]
    looks += [(ask.host_id, _FEW), (ask.host_id, _MANY)]
    for number, (tree, limit) in enumerate(looks, 1):
        answer = await _listed(run, ask, tree, limit)
        roots = [candidate.root_id for candidate in answer.candidates]
        known, neighbours = await run.app.database.peek(_hosts_and_neighbours, roots, run.project_id)
        asked = ask.host_id, ask.availability_zone, ask.excluded
        wish = scheduling.Wish(*asked, neighbours, company, among, apart)
        try:
            return scheduling.choose(answer, known, wish)
        except CloudError:
            all_seen = tree == ask.host_id and len(roots) < limit
            if all_seen or number == len(looks):
                raise
    raise AssertionError("unreachable")


async def _hosts(run: Run, server_ids: tuple[str, ...]) -> frozenset[str]:
    return await run.app.database.peek(servers.hosts_of, server_ids)


async def _listed(run: Run, ask: Ask, tree: str, limit: int) -> ListCandidatesResponse:
    group = RequestGroup(
        resources=ask.needs["resources"],
        required_traits=ask.needs["required_traits"],
        forbidden_traits=ask.needs["forbidden_traits"],
        in_tree=tree,
    )
    stub: Any = run.app.peers.stub(CandidateServiceStub, service="placement")
    return await stub.ListCandidates(ListCandidatesRequest(groups=[group], limit=limit))


async def _claim(run: Run, ask: Ask, candidates: list[Candidate]) -> Consumer:
    best, *others = candidates  # each is what one group asks of one host
    request = ClaimAllocationsRequest(
        consumer=consumer(run, ask.consumer_id),
        candidates=[best],
        alternative_provider_ids=[each.root_id for each in others],
    )
    return await allocations(run).ClaimAllocations(request)


async def _held_already(run: Run, ask: Ask) -> list[Allocation]:
    """What an attempt before this one claimed, where its answer was not heard."""
    held = await held_by(run, ask.consumer_id)
    return list(held.allocations) if held.operation_id == run.operation_id else []


def _hosts_and_neighbours(connection: Connection, ids: list[str], project_id: str) -> tuple[Any, Any]:
    return hosts.all_(connection, ids), servers.neighbours(connection, project_id, ids)
