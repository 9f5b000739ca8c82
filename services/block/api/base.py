"""What all RPCs of the service are served from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from google.protobuf.message import Message

from mesh import mutation
from mesh.caller import Caller
from mesh.database import Database
from mesh.errors import CloudError, invalid
from mesh.limits import Limits
from services.block.attaching import Attaching
from services.block.flows.app import App
from services.block.sources import Elsewhere

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the service, wired."""

    database: Database
    limits: Limits
    app: App
    attaching: Attaching
    elsewhere: Elsewhere


class Api:
    """An RPC class over the parts."""

    def __init__(self, parts: Parts) -> None:
        self._database, self._limits = parts.database, parts.limits
        self._app, self._attaching, self._elsewhere = parts.app, parts.attaching, parts.elsewhere

    async def _mutate(self, request: Any, answers: type[M], do: Callable[[Any], M]) -> M:
        """See mesh.mutation."""
        return await mutation.change(self._database, request, answers, do)

    async def _replayed(self, request: Any, answers: type[M]) -> M | None:
        """What this very request was answered before; None when it is new.

        To be asked before other services are: what they say may have changed since the first time.
        """
        if not request.request_id:
            return None
        try:
            return await self._mutate(request, answers, _is_new)
        except _New:
            return None


def project_of(caller: Caller) -> str:
    """The project that what is created will belong to. Raises INVALID_ARGUMENT when there is none."""
    if not caller.project_id:
        raise invalid("project_id", "this belongs to a project: use a token of project scope")
    return caller.project_id


def missing_is_fine(request: Any, error: CloudError) -> bool:
    """Whether a deletion of nothing was asked to succeed."""
    return bool(request.allow_missing) and error.reason == "NOT_FOUND"


class _New(Exception):
    """The request has not been answered before."""


def _is_new(connection: Any) -> NoReturn:
    raise _New
