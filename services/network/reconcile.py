"""Upkeep with no caller: signs of life, and routers whose egress host is away."""

from mesh import clock
from mesh.database import Database
from mesh.reconcile import Sweep
from services.network.store import egress, hosts

# Three signs of life are missed before hosts that this process serves are taken to be away.
BEAT_SECONDS = hosts.AWAY_AFTER.total_seconds() / 3
EGRESS_SECONDS = 5.0


def heartbeat(database: Database, listener_id: str) -> Sweep:
    """Says that this process lives, and with it the streams that it serves."""

    async def beat() -> None:
        await database.write(hosts.beat, listener_id)

    return Sweep("network listener", BEAT_SECONDS, beat)


def egress_hosts(database: Database) -> Sweep:
    """Moves routers from hosts that are away to hosts that are there."""
    started = clock.now()

    async def place() -> None:
        # After a standstill of the whole service its hosts need time to come back: until then only routers
        # that have no host at all get one.
        patient = clock.now() - started < hosts.AWAY_AFTER
        stranded = await database.read(egress.stranded, homeless_only=patient)
        if stranded:
            await database.write(egress.move, stranded)

    return Sweep("router egress", EGRESS_SECONDS, place)
