"""Which pool takes a volume: one that is alive, of the right kind and has room; near, else the emptiest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mesh.errors import CloudError
from services.block.model import Pool


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new volume asks of its pool. Empty words ask nothing; `pool_id` leaves no choice."""

    size_bytes: int
    backend: str = ""
    availability_zone: str = ""
    pool_id: str = ""
    near_host_id: str = ""

    def fits(self, pool: Pool, now: datetime) -> bool:
        """Whether the pool may take it, if it has room."""
        return (
            not pool.disabled
            and pool.is_alive(now)
            and self.pool_id in ("", pool.id)
            and self.backend in ("", pool.backend)
            and self.availability_zone in ("", pool.availability_zone)
        )

    def is_near(self, pool: Pool) -> bool:
        """Whether the pool is on the host that was wished for."""
        return bool(self.near_host_id) and pool.host_id == self.near_host_id


def choose(pools: Iterable[Pool], wish: Wish, now: datetime) -> Pool:
    """The pool for it. Raises STORAGE_FULL where only room is missing, UNAVAILABLE where all is."""
    fitting = [pool for pool in pools if wish.fits(pool, now)]
    if not fitting:
        raise _nowhere(wish)
    roomy = [pool for pool in fitting if pool.free_bytes >= wish.size_bytes]
    if not roomy:
        raise full(max(pool.free_bytes for pool in fitting), wish.size_bytes)
    return max(roomy, key=lambda pool: (wish.is_near(pool), pool.free_bytes, pool.id))


def full(free_bytes: int, needed_bytes: int) -> CloudError:
    """The error where room is missing."""
    free = max(free_bytes, 0)
    message = f"The volume needs {needed_bytes} bytes of a pool, and {free} are left."
    return CloudError("STORAGE_FULL", message, needed_bytes=needed_bytes, free_bytes=free)


def _nowhere(wish: Wish) -> CloudError:
    asked = {"backend": wish.backend, "availability zone": wish.availability_zone, "pool": wish.pool_id}
    words = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
    message = (
        f"No pool takes the volume: none{f' of {words}' if words else ''} is enabled and reported alive."
    )
    return CloudError("UNAVAILABLE", message, service="block")
