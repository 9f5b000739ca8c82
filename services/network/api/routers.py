"""RouterService."""

from collections.abc import Callable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks
from mesh.caller import Caller, current
from mesh.errors import invalid
from services.network import messages, model
from services.network.addresses import connected_routes
from services.network.api.base import Api
from services.network.flows import changes
from services.network.store import networks, ports, subnets
from services.network.store import routers as store
from weft.network.v1 import resources_pb2 as pb
from weft.network.v1 import router_service_pb2 as verbs
from weft.network.v1 import router_service_pb2_grpc as grpc_base


class Routers(grpc_base.RouterServiceServicer, Api):
    """Routing between subnets, and out."""

    async def GetRouter(self, request: verbs.GetRouterRequest, context: Any) -> pb.Router:
        """NOT_FOUND."""
        who = current()
        return _shown(await self.database.peek(store.get, request.id, who.reach), who)

    async def ListRouters(self, request: verbs.ListRoutersRequest, context: Any) -> verbs.ListRoutersResponse:
        """PAGE_TOKEN_INVALID."""
        who = current()
        found, token = await self.database.read(store.page, request, who, {"name": request.name})
        return verbs.ListRoutersResponse(
            routers=[_shown(router, who) for router in found], next_page_token=token
        )

    async def CreateRouter(self, request: verbs.CreateRouterRequest, context: Any) -> pb.Router:
        """QUOTA_EXCEEDED, and what SetRouterGateway answers."""
        who = current()
        project_id = model.project_of(who, request.project_id, "network.routers.create")
        limits = await self.limits.of(project_id)
        values = {
            "project_id": project_id,
            "name": request.name,
            "description": request.description,
            "admin_state_up": not request.admin_state_down,
            "tags": list(request.tags),
        }

        def make(connection: Any) -> model.Router:
            router = store.create(connection, values, limits)
            if request.HasField("gateway"):
                router = _lead_out(connection, router, request.gateway, who)
            return router

        def create(connection: Any) -> pb.Router:
            return _shown(changes.router(connection, who, None, lambda: make(connection)), who)

        return await self.change(request, pb.Router, create)

    async def UpdateRouter(self, request: verbs.UpdateRouterRequest, context: Any) -> pb.Router:
        """NOT_FOUND, REVISION_MISMATCH, IN_USE, and what SetRouterGateway answers."""
        who = current()
        fields = dict.fromkeys(("name", "description", "admin_state_up", "gateway", "tags"), ...)
        converters = {**fields, "routes": messages.route_pairs}
        given = masks.apply(request.update_mask, request.router, converters)

        def update(connection: Any, router: model.Router) -> model.Router:
            values = {name: value for name, value in given.items() if name not in ("gateway", "routes")}
            router = store.update(connection, router, request.expected_revision, values)
            if "gateway" in given and given["gateway"] is None:
                router = store.clear_gateway(connection, router)
            elif "gateway" in given:
                router = _lead_out(connection, router, given["gateway"], who)
            if "routes" in given:
                cidrs = [foot.cidr for foot in router.feet]
                routes = connected_routes(given["routes"], cidrs, "router.routes")
                router = store.update(connection, router, 0, {"routes": routes})
            return router

        return await self._change(request, who, update)

    async def DeleteRouter(self, request: verbs.DeleteRouterRequest, context: Any) -> Empty:
        """NOT_FOUND, IN_USE, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            router = store.get(connection, request.id, who.reach, "update")
            revision = request.expected_revision
            changes.router_deletion(
                connection, who, router, lambda: store.delete_router(connection, router, revision)
            )

        return await self.remove(request, delete)

    async def AddRouterInterface(self, request: verbs.AddRouterInterfaceRequest, context: Any) -> pb.Router:
        """NOT_FOUND, PERMISSION_DENIED, CIDR_OVERLAP, ADDRESS_IN_USE, IN_USE."""
        who = current()
        _check_one(request)

        def add(connection: Any, router: model.Router) -> model.Router:
            if request.port_id:
                port = ports.get(connection, request.port_id, who.reach, "update")
                return store.add_port(connection, router, port)
            subnet = subnets.get(connection, request.subnet_id, who.reach, "share")
            network = networks.get(connection, subnet.network_id, None)
            if not model.administers(who):  # whoever has the gateway's address sees all that goes out
                model.require_owned(network, who, "network.routers.add_interface")
            return store.add_subnet(connection, router, network, subnet)

        return await self._change(request, who, add, request.port_id)

    async def RemoveRouterInterface(
        self, request: verbs.RemoveRouterInterfaceRequest, context: Any
    ) -> pb.Router:
        """NOT_FOUND, IN_USE."""
        who = current()
        _check_one(request)

        def remove(connection: Any, router: model.Router) -> model.Router:
            interface = store.find_interface(router, request.subnet_id, request.port_id)
            return store.remove_interface(connection, router, interface)

        return await self._change(request, who, remove)

    async def SetRouterGateway(self, request: verbs.SetRouterGatewayRequest, context: Any) -> pb.Router:
        """NOT_FOUND, PERMISSION_DENIED, IN_USE, CIDR_OVERLAP, and what taking an address answers."""
        who = current()

        def set_gateway(connection: Any, router: model.Router) -> model.Router:
            return _lead_out(connection, router, request.gateway, who)

        return await self._change(request, who, set_gateway)

    async def ClearRouterGateway(self, request: verbs.ClearRouterGatewayRequest, context: Any) -> pb.Router:
        """NOT_FOUND, IN_USE."""
        return await self._change(request, current(), store.clear_gateway)

    async def _change(
        self,
        request: Any,
        who: Caller,
        change: Callable[[Any, model.Router], model.Router],
        port_id: str = "",
    ) -> pb.Router:
        """Change one router, of which a port may become part, and begin to bring that to hosts."""

        def unit(connection: Any) -> pb.Router:
            router = store.get(connection, request.id, who.reach, "update")
            taken = [ports.get(connection, port_id, who.reach, "update").id] if port_id else []
            after = changes.router(connection, who, router, lambda: change(connection, router), taken)
            return _shown(after, who)

        return await self.change(request, pb.Router, unit)


def _shown(router: model.Router, who: Caller) -> pb.Router:
    return messages.router(router, full=model.privileged(who))


def _lead_out(
    connection: Any, router: model.Router, gateway: pb.ExternalGateway, who: Caller
) -> model.Router:
    network = networks.get(connection, gateway.network_id, who.reach, "share")
    if not network.external:
        raise invalid("gateway.network_id", f"the network {network.id} is not external")
    wanted = model.FixedIp(gateway.subnet_id, gateway.ip_address)
    if any((wanted.subnet_id, wanted.ip_address)) and not store.leads_out(router, network, wanted):
        model.require_admin(who, "network.routers.set_gateway", "Choosing the address")
    snat = gateway.snat_enabled if gateway.HasField("snat_enabled") else True
    return store.set_gateway(connection, router, network, snat, wanted)


def _check_one(request: Any) -> None:
    if bool(request.subnet_id) == bool(request.port_id):
        raise invalid("subnet_id", "name a subnet_id or a port_id, one of them")
