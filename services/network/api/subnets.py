"""SubnetService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, masks
from mesh.caller import current
from mesh.errors import invalid
from services.network import addresses, messages, model
from services.network.api.base import Api
from services.network.store import networks
from services.network.store import subnets as store
from weft.network.v1 import resources_pb2 as pb
from weft.network.v1 import subnet_service_pb2 as verbs
from weft.network.v1 import subnet_service_pb2_grpc as grpc_base

_PLAIN = ("name", "description", "dhcp_enabled", "gateway_ip", "dns_nameservers", "tags")


class Subnets(grpc_base.SubnetServiceServicer, Api):
    """Addresses of networks."""

    async def GetSubnet(self, request: verbs.GetSubnetRequest, context: Any) -> pb.Subnet:
        """NOT_FOUND."""
        return messages.subnet(await self.database.peek(store.get, request.id, current().reach))

    async def ListSubnets(self, request: verbs.ListSubnetsRequest, context: Any) -> verbs.ListSubnetsResponse:
        """PAGE_TOKEN_INVALID."""
        wanted = {"network_id": request.network_id, "name": request.name, "cidr": request.cidr}
        found, token = await self.database.read(store.page, request, current(), wanted)
        return verbs.ListSubnetsResponse(subnets=map(messages.subnet, found), next_page_token=token)

    async def CreateSubnet(self, request: verbs.CreateSubnetRequest, context: Any) -> pb.Subnet:
        """NOT_FOUND, PERMISSION_DENIED, CIDR_OVERLAP, ADDRESS_OUT_OF_RANGE, QUOTA_EXCEEDED."""
        who = current()
        values = {
            **_new(request),
            "project_id": model.project_of(who, request.project_id, "network.subnets.create"),
        }
        limits = await self.limits.of(values["project_id"])

        def create(connection: Any) -> pb.Subnet:
            network = networks.get(connection, request.network_id, who.reach, "update")
            model.require_owned(network, who, "network.subnets.create")
            return messages.subnet(store.create(connection, network, values, limits))

        return await self.change(request, pb.Subnet, create)

    async def UpdateSubnet(self, request: verbs.UpdateSubnetRequest, context: Any) -> pb.Subnet:
        """NOT_FOUND, PERMISSION_DENIED, REVISION_MISMATCH, IN_USE, ADDRESS_OUT_OF_RANGE."""
        who = current()
        given = masks.apply(
            request.update_mask,
            request.subnet,
            {
                **dict.fromkeys(_PLAIN, ...),
                "allocation_pools": messages.pool_pairs,
                "host_routes": messages.route_pairs,
            },
        )

        def update(connection: Any) -> pb.Subnet:
            before = store.get(connection, request.id, who.reach, "update")
            model.require_owned(before, who, "network.subnets.update")
            network = networks.get(connection, before.network_id, None)
            values = _changes(before, given)
            after = store.update(connection, network, before, request.expected_revision, values)
            return messages.subnet(after)

        return await self.change(request, pb.Subnet, update)

    async def DeleteSubnet(self, request: verbs.DeleteSubnetRequest, context: Any) -> Empty:
        """NOT_FOUND, PERMISSION_DENIED, IN_USE, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            subnet = store.get(connection, request.id, who.reach, "update")
            model.require_owned(subnet, who, "network.subnets.delete")
            network = networks.get(connection, subnet.network_id, None)
            store.delete_subnet(connection, network, subnet, request.expected_revision)

        return await self.remove(request, delete)


def _new(request: verbs.CreateSubnetRequest) -> dict[str, Any]:
    cidr = addresses.parse_cidr(request.cidr)
    gateway = addresses.choose_gateway(cidr, request.gateway_ip, none=request.no_gateway)
    pools = messages.pool_pairs(request.allocation_pools)
    routes = messages.route_pairs(request.host_routes)
    return {
        "id": ids.new(),
        "network_id": request.network_id,
        "name": request.name,
        "description": request.description,
        "ip_version": cidr.version,
        "cidr": str(cidr),
        "gateway_ip": gateway,
        "dhcp_enabled": not request.dhcp_disabled,
        "dns_nameservers": list(request.dns_nameservers),
        "allocation_pools": addresses.choose_pools(cidr, pools, gateway),
        "host_routes": addresses.sound_routes(routes, "host_routes"),
        "tags": list(request.tags),
    }


def _changes(before: model.Subnet, given: dict[str, Any]) -> dict[str, Any]:
    """The new columns. Pools that are not given stay: a gateway that moves must not land in one."""
    values = dict(given)
    cidr = addresses.parse_cidr(before.cidr)
    gateway = values.get("gateway_ip", before.gateway_ip)
    if "gateway_ip" in values:
        values["gateway_ip"] = gateway = addresses.choose_gateway(cidr, gateway, none=not gateway)
        if gateway == before.gateway_ip:
            del values["gateway_ip"]
    pools = values.get("allocation_pools", before.allocation_pools)
    if not pools:
        raise invalid("subnet.allocation_pools", "cannot be empty")
    if "allocation_pools" in values or "gateway_ip" in values:
        values["allocation_pools"] = addresses.choose_pools(cidr, pools, gateway)
    if "host_routes" in values:
        values["host_routes"] = addresses.sound_routes(values["host_routes"], "host_routes")
    return values
