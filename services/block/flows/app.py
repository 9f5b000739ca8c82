"""What the steps of all flows work with, and how an operation ends in its resource's row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesh.database import Database
from mesh.flow import Run
from services.block import store
from services.block.drivers import Driver
from services.block.model import Pool


@dataclass(frozen=True, slots=True)
class App:
    """The service as its flows see it."""

    database: Database
    drivers: Mapping[str, Driver]

    async def at(self, pool_id: str) -> tuple[Driver, Pool]:
        """A pool, and the driver of its backend."""
        pool = await self.database.peek(store.pools.get, pool_id)
        return self.drivers[pool.backend], pool


def end_volume(connection: Any, run: Run, status: str, reason: str = "", **values: Any) -> None:
    """The operation on a volume is over: its row says how, in the same transaction."""
    ended = {"status": status, "status_reason": reason, "operation_id": None, **values}
    store.volumes.change(connection, run.target_id, ended)


def end_snapshot(
    connection: Any, run: Run, status: str, reason: str = "", id: str = "", **values: Any
) -> None:
    """The operation on a snapshot is over: on its target, where no other is named."""
    ended = {"status": status, "status_reason": reason, "operation_id": None, **values}
    store.snapshots.change(connection, id or run.target_id, ended)
