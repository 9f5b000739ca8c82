"""Guests that stand still, in memory or by way of the disk."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from node import turns
from node.guest.guests import message
from node.guest.hypervisor import Hypervisor
from node.ledger import Ledger
from node.turns import Turns
from weft.node.v1.resources_pb2 import Guest


class Freezing:
    """Every call can be made again: a guest that is as wanted is left alone. NOT_FOUND, WRONG_STATUS."""

    def __init__(self, ledger: Ledger, hypervisor: Hypervisor, turns: Turns) -> None:
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._turns = turns

    async def pause(self, server_id: str) -> Guest:
        """Have it stand still."""
        return await self._change(server_id, self._hypervisor.pause)

    async def unpause(self, server_id: str) -> Guest:
        """Let it go on."""
        return await self._change(server_id, self._hypervisor.unpause)

    async def suspend(self, server_id: str) -> Guest:
        """Write its memory to the disk; from then on it is not to be started with the host."""
        return await self._change(server_id, self._suspend)

    async def _suspend(self, server_id: str) -> None:
        await self._hypervisor.suspend(server_id)
        await self._ledger.keep(replace(self._ledger.guest(server_id), wanted_running=False))

    async def _change(self, server_id: str, change: Callable[[str], Awaitable[None]]) -> Guest:
        async def work() -> Guest:
            record = self._ledger.guest(server_id)
            await change(server_id)
            return message(self._hypervisor.kind, record, await self._hypervisor.see(server_id))

        return await self._turns.take(work, turns.guest(server_id))
