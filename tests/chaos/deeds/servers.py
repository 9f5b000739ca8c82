"""Servers: made, cancelled, deleted, started, stopped, restarted."""

import asyncio
from typing import Any

from mesh import ids
from mesh.errors import CloudError
from tests.chaos.calls import Unsure
from tests.chaos.deeds.hands import Hands
from tests.chaos.told import Presence, Thing
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.compute.v1.resources_pb2 import ServerStatus
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub

_AFTER = {"SUCCEEDED": "ACTIVE", "": ""}


class ServerDeeds(Hands):
    """What is done with servers."""

    @property
    def servers(self) -> Any:
        """Compute's servers."""
        return self.stub(ServerServiceStub)

    @property
    def compute(self) -> Any:
        """Compute's operations."""
        return self.stub(OperationServiceStub)

    async def boot(self) -> None:
        """A server with a new port, a port of ours or none, perhaps with a volume; sometimes cancelled."""
        if not (thing := self.new("server")):
            return
        request = self._request(thing)
        volume = self.pick("volume", "AVAILABLE") if self.rng.random() < 0.2 else None
        if volume:
            request.volumes.add(volume_id=volume.id)
            volume.unsure()
        try:
            made = await self.make(thing, self.servers.CreateServer, request)
        except CloudError:
            self._given(volume, "REFUSED", thing)
            raise
        cancels = self.rng.random() < 0.2
        accepted = cancels and await self.cancel(self.compute, made.operation_id)
        ended = await self.ended(self.compute, "server.boot", made.operation_id)
        thing.status = _AFTER.get(ended, "ERROR")
        self._given(volume, ended, thing)
        if accepted and ended == "SUCCEEDED":
            self.told.contradiction(f"{thing}: its boot was cancelled, and yet it succeeded")

    async def boot_and_delete_at_once(self) -> None:
        """A server that is deleted before it is there."""
        if not (thing := self.new("server")):
            return
        await self.make(thing, self.servers.CreateServer, self._request(thing))
        await asyncio.sleep(self.rng.uniform(0, 3))
        await self._delete(thing)

    async def delete_server(self) -> None:
        """A server with all that was made with it; its volumes and our ports stay."""
        if thing := self.pick_to_delete("server"):
            await self._delete(thing)

    async def power(self) -> None:
        """Start, stop or restart a server."""
        if not (thing := self.pick("server", "ACTIVE", "STOPPED")):
            return
        method, request, after = self._wish(thing)
        request.request_id, before = ids.new(), thing.status
        thing.unsure()
        try:
            answer = await self.mutate(method, request)
        except CloudError:
            thing.status = before
            raise
        what = type(request).__name__.removesuffix("Request")
        if await self.ended(self.compute, what, answer.operation_id) == "SUCCEEDED":
            thing.status = after

    async def look_at_server(self) -> None:
        """See what a server is of which nobody was told."""
        if thing := self.pick_unsure("server"):
            seen = await self.caller.insist(self.servers.GetServer, pb.GetServerRequest(id=thing.id))
            if not seen.operation_id:
                thing.status = ServerStatus.Name(seen.status).removeprefix("SERVER_STATUS_")

    def _request(self, thing: Thing) -> pb.CreateServerRequest:
        place, free, chance = self.place, self.free_ports(), self.rng.random()
        request = pb.CreateServerRequest(
            name=thing.name, flavor_id=place.flavors[0], image_id=place.image_id, request_id=ids.new()
        )
        if chance < 0.2 and free:
            thing.port_id = self.rng.choice(free).id
            request.networks.add(port_id=thing.port_id)
        elif chance < 0.8:
            request.networks.add(network_id=place.network_id)
        else:
            request.no_network = True
        return request

    def _given(self, volume: Thing | None, ended: str, server: Thing) -> None:
        """Whether a volume that a server was to begin with is its."""
        if volume and ended:
            booted = ended == "SUCCEEDED"
            volume.status, volume.holder = ("IN_USE", server.id) if booted else ("AVAILABLE", "")

    def _wish(self, thing: Thing) -> tuple[Any, Any, str]:
        """What to ask for, and the status that it leads to."""
        if thing.status == "STOPPED":
            return self.servers.StartServer, pb.StartServerRequest(id=thing.id), "ACTIVE"
        if self.rng.random() < 0.4:
            request = pb.RebootServerRequest(id=thing.id, type="REBOOT_TYPE_HARD")
            return self.servers.RebootServer, request, "ACTIVE"
        stop = pb.StopServerRequest(id=thing.id)
        stop.grace.FromSeconds(self.rng.randint(0, 3))
        return self.servers.StopServer, stop, "STOPPED"

    async def _delete(self, thing: Thing) -> None:
        held = [t for t in self.things if t.kind == "volume" and t.holder == thing.id]
        thing.presence = Presence.MAYBE
        for volume in held:
            volume.unsure()
        request = pb.DeleteServerRequest(id=thing.id, request_id=ids.new(), allow_missing=True)
        answer = await self.mutate(self.servers.DeleteServer, request)
        ended = "SUCCEEDED"  # where there was none any more
        if answer.operation_id:
            ended = await self.ended(self.compute, "server.delete", answer.operation_id)
        if ended == "SUCCEEDED":
            thing.presence = Presence.GONE
            for volume in held:
                volume.status, volume.holder = "AVAILABLE", ""
            await self._is_gone(thing)
        elif ended:
            thing.presence = Presence.THERE
            thing.unsure()

    async def _is_gone(self, thing: Thing) -> None:
        """Who was told that it is gone does not find it."""
        try:
            await self.caller.once(self.servers.GetServer, pb.GetServerRequest(id=thing.id))
            self.told.contradiction(f"{thing}: is answered after its deletion succeeded")
        except Unsure:
            return
        except CloudError as error:
            if error.reason != "NOT_FOUND":
                raise
