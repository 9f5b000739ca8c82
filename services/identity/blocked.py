"""What a purge refuses to delete: what others use, and what somebody has protected."""

from collections.abc import Awaitable, Callable
from typing import Any

from mesh import caller
from mesh.lists import walk
from services.identity.holdings import OF_NETWORK, Estate, Kind
from weft.image.v1.image_service_pb2 import ListMembersRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.image.v1.resources_pb2 import MEMBER_STATUS_ACCEPTED, VISIBILITY_PRIVATE, VISIBILITY_SHARED
from weft.network.v1.port_service_pb2 import ListPortsRequest
from weft.network.v1.port_service_pb2_grpc import PortServiceStub


async def why_not(estate: Estate, kind: Kind, thing: Any) -> str:
    """Why it cannot go, in words; empty when it can."""
    rule = _RULES.get(kind.noun)
    return await rule(estate, thing) if rule else ""


async def _server(estate: Estate, server: Any) -> str:
    if server.HasField("lock") and "admin" not in estate.acting.roles:
        return "It is locked: unlock it, or have an administrator purge the project."
    return ""


async def _image(estate: Estate, image: Any) -> str:
    """Whoever may use it may have a server of it, which can be rebuilt as long as it is there."""
    if image.protected:
        return "It is protected: update it to be not."
    if image.visibility not in (VISIBILITY_PRIVATE, VISIBILITY_SHARED):
        return "Every project may use it: make it private."
    if image.visibility == VISIBILITY_SHARED:
        stub = estate.peers.stub(ImageServiceStub, service="image")
        for member in await _all(stub.ListMembers, ListMembersRequest(image_id=image.id), "members"):
            if member.status == MEMBER_STATUS_ACCEPTED:
                return f"The project {member.member_project_id} uses it: remove that member."
    return ""


async def _network(estate: Estate, network: Any) -> str:
    if not (network.shared or network.external):
        return ""
    stub = estate.peers.stub(PortServiceStub, service="network")
    for port in await _all(stub.ListPorts, ListPortsRequest(network_id=network.id), "ports"):
        if port.project_id != estate.project_id and port.device_owner != f"{OF_NETWORK}dhcp":
            return f"The project {port.project_id} has the port {port.id} on it."
    return ""


async def _all(rpc: Callable[[Any], Awaitable[Any]], request: Any, items: str) -> list[Any]:
    """A list as identity itself sees it: of every project."""
    with caller.acting_as(caller.ANONYMOUS):
        return [each async for each in walk(rpc, request, items)]


_RULES: dict[str, Callable[[Estate, Any], Awaitable[str]]] = {
    "Server": _server,
    "Image": _image,
    "Network": _network,
}
