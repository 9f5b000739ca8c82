"""NetworkService."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, masks, watch
from mesh.caller import Caller, current
from mesh.errors import invalid
from services.network import messages, model
from services.network.api.base import Api
from services.network.store import networks as store
from weft.network.v1 import network_service_pb2 as verbs
from weft.network.v1 import network_service_pb2_grpc as grpc_base
from weft.network.v1 import resources_pb2 as pb

# The least that IPv4 asks of every link.
_SMALLEST_MTU = 68


class Networks(grpc_base.NetworkServiceServicer, Api):
    """Layer 2 segments."""

    async def GetNetwork(self, request: verbs.GetNetworkRequest, context: Any) -> pb.Network:
        """NOT_FOUND."""
        who = current()
        network = await self.database.peek(store.get, request.id, who.reach)
        return messages.network(network, full=model.privileged(who))

    async def ListNetworks(
        self, request: verbs.ListNetworksRequest, context: Any
    ) -> verbs.ListNetworksResponse:
        """PAGE_TOKEN_INVALID."""
        who = current()
        wanted = {"name": request.name, "external": request.external, "shared": request.shared}
        found, token = await self.database.read(store.page, request, who, wanted)
        shown = [messages.network(network, full=model.privileged(who)) for network in found]
        return verbs.ListNetworksResponse(networks=shown, next_page_token=token)

    async def CreateNetwork(self, request: verbs.CreateNetworkRequest, context: Any) -> pb.Network:
        """PERMISSION_DENIED for what is for administrators; QUOTA_EXCEEDED, ALREADY_EXISTS."""
        who = current()
        values = _new(request, who)
        limits = await self.limits.of(values["project_id"])

        def create(connection: Any) -> pb.Network:
            network = store.create(connection, values, self.segments, limits)
            return messages.network(network, full=model.privileged(who))

        return await self.change(request, pb.Network, create)

    async def UpdateNetwork(self, request: verbs.UpdateNetworkRequest, context: Any) -> pb.Network:
        """NOT_FOUND, PERMISSION_DENIED, REVISION_MISMATCH, IN_USE."""
        who = current()
        fields = ("name", "description", "mtu", "shared", "external", "admin_state_up")
        allowed = (*fields, "port_security_enabled", "tags")
        values = masks.apply(request.update_mask, request.network, allowed)

        def update(connection: Any) -> pb.Network:
            before = store.get(connection, request.id, who.reach, "update")
            model.require_owned(before, who, "network.networks.update")
            for name in ("shared", "external"):
                if values.get(name, getattr(before, name)) != getattr(before, name):
                    model.require_admin(who, "network.networks.update", f"Changing `{name}`")
            if "mtu" in values:
                values["mtu"] = _mtu(values["mtu"], before.type)
            after = store.change(connection, before, request.expected_revision, values)
            return messages.network(after, full=model.privileged(who))

        return await self.change(request, pb.Network, update)

    async def DeleteNetwork(self, request: verbs.DeleteNetworkRequest, context: Any) -> Empty:
        """NOT_FOUND, PERMISSION_DENIED, IN_USE, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            network = store.get(connection, request.id, who.reach, "update")
            model.require_owned(network, who, "network.networks.delete")
            store.delete_network(connection, network, request.expected_revision)

        return await self.remove(request, delete)

    async def WatchNetworks(
        self, request: verbs.WatchNetworksRequest, context: Any
    ) -> AsyncIterator[verbs.WatchNetworksResponse]:
        """WATCH_TOO_OLD."""
        who = current()
        async for event in watch.stream(self.database, "network", request.from_revision or None, None):
            network = pb.Network.FromString(event.payload)
            if not (who.reach in (None, network.project_id) or network.shared or network.external):
                continue
            if not model.privileged(who):
                messages.hide(network)
            yield verbs.WatchNetworksResponse(revision=event.revision, type=event.type, network=network)


def _new(request: verbs.CreateNetworkRequest, who: Caller) -> dict[str, Any]:
    kind = pb.NetworkType.Name(request.type or pb.NETWORK_TYPE_VXLAN).removeprefix("NETWORK_TYPE_")
    permission = "network.networks.create"
    for asked, what in (
        (kind == "FLAT", "A FLAT network"),
        (request.shared, "A shared network"),
        (request.external, "An external network"),
    ):
        if asked:
            model.require_admin(who, permission, what)
    if (kind == "FLAT") != bool(request.physical_network):
        raise invalid("physical_network", "a FLAT network names one, and no other does")
    return {
        "id": ids.new(),
        "project_id": model.project_of(who, request.project_id, "network.networks.create"),
        "name": request.name,
        "description": request.description,
        "type": kind,
        "physical_network": request.physical_network or None,
        "mtu": _mtu(request.mtu, kind),
        "shared": request.shared,
        "external": request.external,
        "admin_state_up": not request.admin_state_down,
        "port_security_enabled": not request.port_security_disabled,
        "tags": list(request.tags),
    }


def _mtu(wanted: int, kind: str) -> int:
    if wanted and wanted < _SMALLEST_MTU:
        raise invalid("mtu", f"a packet of IPv4 may need {_SMALLEST_MTU} bytes")
    return wanted or model.DEFAULT_MTU[kind]
