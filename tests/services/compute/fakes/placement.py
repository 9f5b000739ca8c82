"""Placement: providers, and who has what of them."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh.errors import CloudError
from mesh.server import Part, Runtime, Service
from tests.services.compute.fakes.faults import Faulty
from weft.placement.v1 import (
    allocation_service_pb2,
    allocation_service_pb2_grpc,
    candidate_service_pb2,
    candidate_service_pb2_grpc,
    provider_service_pb2,
    provider_service_pb2_grpc,
    resources_pb2,
)


class Placement(
    Faulty,
    candidate_service_pb2_grpc.CandidateServiceServicer,
    allocation_service_pb2_grpc.AllocationServiceServicer,
    provider_service_pb2_grpc.ProviderServiceServicer,
):
    """One provider a host; capacity is total less reserved times the ratio."""

    def __init__(self) -> None:
        super().__init__()
        self.providers: dict[str, provider_service_pb2.SyncProviderRequest] = {}
        self.consumers: dict[str, resources_pb2.Consumer] = {}

    def part(self) -> Part:
        def build(runtime: Runtime) -> Service:
            return Service(
                [
                    (candidate_service_pb2_grpc.add_CandidateServiceServicer_to_server, self),
                    (allocation_service_pb2_grpc.add_AllocationServiceServicer_to_server, self),
                    (provider_service_pb2_grpc.add_ProviderServiceServicer_to_server, self),
                ]
            )

        return Part("placement", build)

    def capacity(self, provider_id: str) -> dict[str, int]:
        found = {}
        for inventory in self.providers[provider_id].inventories:
            ratio = inventory.allocation_ratio or 1
            found[inventory.resource_class] = int((inventory.total - inventory.reserved) * ratio)
        return found

    def used(self, provider_id: str) -> dict[str, int]:
        found = dict.fromkeys(self.capacity(provider_id), 0)
        for consumer in self.consumers.values():
            for allocation in consumer.allocations:
                if allocation.provider_id == provider_id:
                    for name, amount in allocation.resources.items():
                        found[name] += amount
        return found

    def _fits(self, provider_id: str, resources: Any) -> str:
        """The first class that has not enough left, "" when all fit."""
        capacity, used = self.capacity(provider_id), self.used(provider_id)
        short = (n for n, amount in resources.items() if used.get(n, 0) + amount > capacity.get(n, 0))
        return next(short, "")

    async def SyncProvider(self, request: Any, context: Any) -> resources_pb2.Provider:
        self.called("SyncProvider")
        self.providers[request.id] = request
        return resources_pb2.Provider(id=request.id, name=request.name, root_id=request.id)

    async def ListCandidates(self, request: Any, context: Any) -> Any:
        self.called("ListCandidates")
        group = request.groups[0]
        ids = [id for id in self.providers if group.in_tree in ("", id)]
        lacking = {id: self._lacks(id, group) for id in ids}
        fitting = [id for id in ids if not lacking[id]][: request.limit or 1000]
        reasons = sorted({reason for reason in lacking.values() if reason})
        removal = candidate_service_pb2.Removal
        counted = [removal(requirement=r, removed=list(lacking.values()).count(r)) for r in reasons]
        return candidate_service_pb2.ListCandidatesResponse(
            candidates=[self._candidate(id, group.resources) for id in fitting],
            providers=[self._summary(id) for id in fitting],
            removals=[removal(requirement="hosts", removed=len(self.providers)), *counted],
        )

    def _lacks(self, id: str, group: Any) -> str:
        traits = set(self.providers[id].traits)
        missing = [f"trait:{trait}" for trait in group.required_traits if trait not in traits]
        present = [f"trait:{trait}" for trait in group.forbidden_traits if trait in traits]
        return (*missing, *present, self._fits(id, group.resources))[0]

    def _candidate(self, id: str, resources: Any) -> resources_pb2.Candidate:
        allocation = resources_pb2.Allocation(provider_id=id, resources=resources)
        return resources_pb2.Candidate(allocations=[allocation], root_id=id)

    def _summary(self, id: str) -> resources_pb2.ProviderSummary:
        capacity, used = self.capacity(id), self.used(id)
        return resources_pb2.ProviderSummary(provider_id=id, root_id=id, capacity=capacity, used=used)

    async def ClaimAllocations(self, request: Any, context: Any) -> resources_pb2.Consumer:
        self.called("ClaimAllocations")
        await self.held("ClaimAllocations")
        wanted = request.consumer
        held = self.consumers.get(wanted.id)
        if held is not None:
            assert held.operation_id == wanted.operation_id, "claimed twice by different operations"
            return held
        same = request.candidates[0].allocations[0].resources
        others = [self._candidate(id, same) for id in request.alternative_provider_ids]
        for candidate in (*request.candidates, *others):
            if not any(self._fits(a.provider_id, a.resources) for a in candidate.allocations):
                made = resources_pb2.Consumer()
                made.CopyFrom(wanted)
                made.allocations.extend(candidate.allocations)
                self.consumers[wanted.id] = made
                return made
        raise CloudError("CAPACITY_EXCEEDED", "None has room.")

    async def GetAllocations(self, request: Any, context: Any) -> resources_pb2.Consumer:
        self.called("GetAllocations")
        return self.consumers.get(request.consumer_id, resources_pb2.Consumer(id=request.consumer_id))

    async def SetAllocations(self, request: Any, context: Any) -> Any:
        self.called("SetAllocations")
        for wanted in request.consumers:
            self.consumers.pop(wanted.id, None)
            if wanted.allocations:
                self.consumers[wanted.id] = wanted
        return allocation_service_pb2.SetAllocationsResponse(consumers=request.consumers)

    async def DeleteAllocations(self, request: Any, context: Any) -> Empty:
        self.called("DeleteAllocations")
        held = self.consumers.get(request.consumer_id)
        if held is not None and request.operation_id in ("", held.operation_id):
            del self.consumers[request.consumer_id]
        return Empty()

    async def ListProviderAllocations(self, request: Any, context: Any) -> Any:
        self.called("ListProviderAllocations")
        having = [
            consumer
            for consumer in self.consumers.values()
            if any(a.provider_id == request.provider_id for a in consumer.allocations)
        ]
        return allocation_service_pb2.ListProviderAllocationsResponse(consumers=having)
