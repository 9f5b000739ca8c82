"""FloatingIpService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks
from mesh.caller import Caller, current
from mesh.errors import invalid
from services.network import addresses, messages, model
from services.network.api.base import Api
from services.network.flows import changes
from services.network.store import floating_ips as store
from services.network.store import networks, ports
from weft.network.v1 import floating_ip_service_pb2 as verbs
from weft.network.v1 import floating_ip_service_pb2_grpc as grpc_base
from weft.network.v1 import resources_pb2 as pb

_DESCRIBING = ("description", "tags")


class FloatingIps(grpc_base.FloatingIpServiceServicer, Api):
    """Addresses that lead from outside to a port."""

    async def GetFloatingIp(self, request: verbs.GetFloatingIpRequest, context: Any) -> pb.FloatingIp:
        """NOT_FOUND."""
        return messages.floating_ip(await self.database.peek(store.get, request.id, current().reach))

    async def ListFloatingIps(
        self, request: verbs.ListFloatingIpsRequest, context: Any
    ) -> verbs.ListFloatingIpsResponse:
        """PAGE_TOKEN_INVALID."""
        names = ("network_id", "port_id", "address", "router_id")
        wanted = {name: getattr(request, name) for name in names}
        found, token = await self.database.read(store.page, request, current(), wanted)
        shown = map(messages.floating_ip, found)
        return verbs.ListFloatingIpsResponse(floating_ips=shown, next_page_token=token)

    async def CreateFloatingIp(self, request: verbs.CreateFloatingIpRequest, context: Any) -> pb.FloatingIp:
        """NOT_FOUND, PERMISSION_DENIED, QUOTA_EXCEEDED, ADDRESSES_EXHAUSTED, ADDRESS_IN_USE."""
        who = current()
        project_id = model.project_of(who, request.project_id, "network.floating_ips.create")
        if request.address:
            model.require_admin(who, "network.floating_ips.create", "Choosing the address")
        limits = await self.limits.of(project_id)

        def make(connection: Any) -> model.FloatingIp:
            network = networks.get(connection, request.network_id, who.reach, "share")
            if not network.external:
                raise invalid("network_id", f"the network {network.id} is not external")
            described = {"description": request.description, "tags": list(request.tags)}
            made = store.create(connection, network, project_id, request.address, described, limits)
            if request.port_id:
                made = _lead(connection, made, request.port_id, request.fixed_ip, who)
            return made

        def create(connection: Any) -> pb.FloatingIp:
            made = changes.floating_ip(connection, who, None, lambda: make(connection))
            return messages.floating_ip(made)

        return await self.change(request, pb.FloatingIp, create)

    async def UpdateFloatingIp(self, request: verbs.UpdateFloatingIpRequest, context: Any) -> pb.FloatingIp:
        """NOT_FOUND, REVISION_MISMATCH, ADDRESS_IN_USE."""
        who = current()
        fields = ("port_id", "fixed_ip", *_DESCRIBING)
        given = masks.apply(request.update_mask, request.floating_ip, fields)

        def change(connection: Any, before: model.FloatingIp) -> model.FloatingIp:
            described = {name: given[name] for name in _DESCRIBING if name in given}
            after = store.update(connection, before, request.expected_revision, described)
            if "port_id" in given or "fixed_ip" in given:
                port_id = given.get("port_id", before.port_id or "")
                after = _lead(connection, after, port_id, given.get("fixed_ip", ""), who)
            return after

        def update(connection: Any) -> pb.FloatingIp:
            before = store.get(connection, request.id, who.reach, "update")
            after = changes.floating_ip(connection, who, before, lambda: change(connection, before))
            return messages.floating_ip(after)

        return await self.change(request, pb.FloatingIp, update)

    async def DeleteFloatingIp(self, request: verbs.DeleteFloatingIpRequest, context: Any) -> Empty:
        """NOT_FOUND, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            floating_ip = store.get(connection, request.id, who.reach, "update")
            revision = request.expected_revision
            changes.floating_ip_deletion(
                connection,
                who,
                floating_ip,
                lambda: store.delete_floating_ip(connection, floating_ip, revision),
            )

        return await self.remove(request, delete)


def _lead(
    connection: Any, floating_ip: model.FloatingIp, port_id: str, fixed_ip: str, who: Caller
) -> model.FloatingIp:
    if not port_id:
        if fixed_ip:
            raise invalid("fixed_ip", "names an address of a port: name the port too")
        return store.update(connection, floating_ip, 0, store.lead_nowhere())
    port = ports.get(connection, port_id, who.reach, "share")
    wanted = addresses.canonical(fixed_ip) if fixed_ip else ""
    return store.update(connection, floating_ip, 0, store.lead_to(connection, floating_ip, port, wanted))
