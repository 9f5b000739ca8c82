"""What all RPCs of the service are served from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from mesh import mutation
from mesh.database import Database
from mesh.limits import Limits
from services.image.contents import Contents
from services.image.grants import Grants
from services.image.sources import Sources
from services.image.upload import Uploads

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the service, wired."""

    database: Database
    limits: Limits
    contents: Contents
    uploads: Uploads
    grants: Grants
    sources: Sources


class Api:
    """An RPC class over the parts."""

    def __init__(self, parts: Parts) -> None:
        self._database, self._limits = parts.database, parts.limits
        self._contents, self._uploads = parts.contents, parts.uploads
        self._grants, self._sources = parts.grants, parts.sources

    async def _mutate(self, request: Any, answers: type[M], do: Callable[[Any], M]) -> M:
        """See mesh.mutation."""
        return await mutation.change(self._database, request, answers, do)
