"""Servers get another flavor, and that is confirmed or reverted."""

from mesh import ids
from tests.chaos.deeds.changes import ChangeDeeds
from tests.chaos.told import Thing
from weft.compute.v1 import server_service_pb2 as pb


class ResizeDeeds(ChangeDeeds):
    """What is done with a server's size."""

    async def resize(self) -> None:
        """Give a server the one of two flavors that it has not, and mostly decide at once."""
        if not (thing := self.pick("server", "ACTIVE", "STOPPED")):
            return
        seen = await self.caller.insist(self.servers.GetServer, pb.GetServerRequest(id=thing.id))
        flavor_id = next(each for each in self.place.flavors if each != seen.flavor.id)
        request = pb.ResizeServerRequest(id=thing.id, flavor_id=flavor_id, request_id=ids.new())
        answer, before = await self._begun(thing, self.servers.ResizeServer, request)
        if await self.ended(self.compute, "ResizeServer", answer.operation_id) == "SUCCEEDED":
            thing.status = "VERIFY_RESIZE"
            if self.rng.random() < 0.8:
                await self._decide(thing, before)

    async def decide(self) -> None:
        """Confirm or revert one that still waits."""
        if thing := self.pick("server", "VERIFY_RESIZE"):
            await self._decide(thing, "")

    async def _decide(self, thing: Thing, before: str) -> None:
        """`before`: what it was before its resize, "" where that is not known."""
        if self.rng.random() < 0.5:
            method, request = self.servers.ConfirmResize, pb.ConfirmResizeRequest(id=thing.id)
        else:
            method, request = self.servers.RevertResize, pb.RevertResizeRequest(id=thing.id)
        request.request_id = ids.new()
        answer, _ = await self._begun(thing, method, request)
        what = type(request).__name__.removesuffix("Request")
        if await self.ended(self.compute, what, answer.operation_id) == "SUCCEEDED":
            thing.status = before
