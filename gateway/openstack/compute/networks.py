"""Networks as Nova passed them on, until 2.35."""

from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.compute.past import passing
from gateway.openstack.dialect import Route
from mesh.lists import walk
from weft.network.v1 import network_service_pb2 as pb
from weft.network.v1 import resources_pb2
from weft.network.v1.network_service_pb2_grpc import NetworkServiceStub


def view(one: resources_pb2.Network) -> dict[str, Any]:
    """As Nova showed it. There is no CIDR: a network may have several, and Neutron's had none here either."""
    return {"id": one.id, "label": one.name, "cidr": None}


async def index(call: Call) -> dict[str, Any]:
    """GET /os-networks, GET /os-tenant-networks."""
    rpc = call.stub(NetworkServiceStub).ListNetworks
    return {"networks": [view(one) async for one in walk(rpc, pb.ListNetworksRequest(), "networks")]}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-networks/{id}, GET /os-tenant-networks/{id}."""
    request = pb.GetNetworkRequest(id=call.params["id"])
    return {"network": view(await call.stub(NetworkServiceStub).GetNetwork(request))}


ROUTES = passing(
    "network",
    *(
        Route("GET", f"/v2.1/{name}{path}", handler)
        for name in ("os-networks", "os-tenant-networks")
        for path, handler in (("", index), ("/{id}", show))
    ),
)
