"""Upkeep: the next signing key, and what may be forgotten."""

import asyncio

from mesh.database import Database
from mesh.reconcile import Sweep
from services.identity import slowdown
from services.identity.keys import KeyRing
from services.identity.store import (
    audit,
    delegations,
    failures,
    joins,
    login_sources,
    memberships,
    revocations,
)

EVERY = 600.0  # seconds


def upkeep(database: Database, ring: KeyRing, audit_days: int) -> Sweep:
    """The sweep that keeps identity in order; the audit trail for so many days."""

    async def once() -> None:
        await asyncio.to_thread(ring.renew)
        await database.write(revocations.forget)
        await database.write(failures.forget, slowdown.FORGOTTEN)
        await database.write(login_sources.forget)
        await database.write(audit.forget, audit_days)
        await database.write(joins.forget)
        await database.write(memberships.forget)
        await database.write(delegations.forget)

    return Sweep("identity upkeep", EVERY, once)
