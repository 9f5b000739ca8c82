"""Calls as a patient client makes them: asked again with the same request_id until there is an answer."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mesh.channel import Client
from mesh.errors import CloudError
from tests.chaos.figures import Figures
from weft.operation.v1 import operation_pb2

# What says nothing of whether it was done.
UNSURE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED"})
SESSION_OVER = frozenset({"UNAUTHENTICATED", "TOKEN_EXPIRED"})
_ENDED = frozenset(
    operation_pb2.OperationState.Value(f"OPERATION_STATE_{word}")
    for word in ("SUCCEEDED", "FAILED", "CANCELLED")
)
# What no caller may ever be told, whatever happens: a defect of the cloud or of the caller.
DEFECTS = frozenset({"INTERNAL", "INVALID_ARGUMENT", "REQUEST_ID_REUSED"})
_CALL_SECONDS = 15.0


class Unsure(Exception):
    """Nobody answered in time: it may have been done or not."""


class Caller:
    """One person's calls through the gateway. `login` answers a new token."""

    def __init__(
        self,
        client: Client,
        project_id: str,
        login: Callable[[], Awaitable[str]],
        figures: Figures,
        rng: random.Random,
    ) -> None:
        self.client, self.project_id = client, project_id
        self._login, self._figures, self._rng = login, figures, rng

    async def insist(self, method: Any, request: Any, patience: float = 120.0) -> Any:
        """What it answers, asked again while that helps. Raises Unsure, or the CloudError that refuses it."""
        until = time.monotonic() + patience
        while True:
            try:
                answer = await method(request, timeout=_CALL_SECONDS)
            except CloudError as error:
                self._figures.trouble[error.reason] += 1
                if error.reason in SESSION_OVER:
                    await self._log_in_again()
                elif error.reason not in UNSURE:
                    raise
                if time.monotonic() > until:
                    raise Unsure from error
                await asyncio.sleep(self._rng.uniform(0.1, 0.6))
            else:
                self._figures.calls += 1
                return answer

    async def once(self, method: Any, request: Any) -> Any:
        """The same, but asked once only: an impatient client."""
        return await self.insist(method, request, patience=0.0)

    async def ended(
        self, stub: Any, operation_id: str, patience: float = 300.0
    ) -> operation_pb2.Operation | None:
        """An operation at its end; None when it has not come to it in time."""
        until = time.monotonic() + patience
        request = operation_pb2.WatchOperationRequest(id=operation_id)
        while time.monotonic() < until:
            try:
                async for seen in stub.WatchOperation(request, timeout=20):
                    if seen.state in _ENDED:
                        return seen
            except CloudError as error:
                self._figures.trouble[error.reason] += 1
                if error.reason in SESSION_OVER:
                    await self._log_in_again()
                elif error.reason not in UNSURE:
                    raise
                await asyncio.sleep(self._rng.uniform(0.1, 0.6))
        return None

    async def _log_in_again(self) -> None:
        self.client.token = None  # a token that is no good is refused, also beside a password
        try:
            self.client.token = await self._login()
        except CloudError as error:
            self._figures.trouble[error.reason] += 1
