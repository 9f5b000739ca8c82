"""Who sees which host a server is on."""

from mesh.caller import Caller, Kind
from services.compute import messages
from weft.compute.v1.resources_pb2 import Server


def sees_hosts(caller: Caller) -> bool:
    """Administrators do, and the cloud's own services."""
    return caller.kind is Kind.SERVICE or caller.scope == "system" or "admin" in caller.roles


def shown(server: Server, caller: Caller) -> Server:
    """The server as this caller may see it."""
    return server if sees_hosts(caller) else messages.for_tenants(server)
