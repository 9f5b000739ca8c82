"""Candidates: where something could go."""

from typing import Any

from mesh.ready import Ready
from services.placement.api import answers, messages
from services.placement.follow import Follower
from weft.placement.v1 import candidate_service_pb2 as pb
from weft.placement.v1.candidate_service_pb2_grpc import CandidateServiceServicer

DEFAULT_LIMIT = 1000


class CandidateFinder(CandidateServiceServicer):
    """weft.placement.v1.CandidateService."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    async def ListCandidates(self, request: pb.ListCandidatesRequest, context: Any) -> Ready:
        """Ways to satisfy a request, from memory."""
        view = await self._follower.view()
        found = view.find(
            [messages.group(each) for each in request.groups],
            share=request.share_providers,
            exclude=request.exclude_roots,
            limit=request.limit or DEFAULT_LIMIT,
        )
        return answers.of(found)
