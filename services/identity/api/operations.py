"""Purges as callers see them: their own, those of the domain that they administer, or all."""

from typing import Any

from mesh.caller import Caller
from mesh.database import Connection, Row
from mesh.operations import OperationServicer
from services.identity.model import domain_reach
from services.identity.store import purges


class Operations(OperationServicer):
    """weft.identity.v1.OperationService."""

    def whose(self, acting: Caller) -> Any:
        """Who purges a project has no token for it."""
        return purges.seen_by(acting.user_id, domain_reach(acting))

    def sees(self, connection: Connection, row: Row[Any], acting: Caller) -> bool:
        """The same of one row."""
        return purges.sees(connection, row.id, acting.user_id, domain_reach(acting))
