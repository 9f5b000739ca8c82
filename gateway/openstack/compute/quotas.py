"""Quotas and limits."""

from collections.abc import Mapping
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.dialect import Route
from gateway.openstack.keyed import MOST
from gateway.openstack.limits import Quotas
from mesh.lists import walk
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub


async def _usage(call: Call, project_id: str) -> Mapping[str, int]:
    request = pb.ListServersRequest(project_id=project_id if call.administers else "")
    used = {"servers": 0, "vcpus": 0, "memory_mib": 0}
    async for one in walk(call.stub(ServerServiceStub).ListServers, request, "servers"):
        used["servers"] += 1
        used["vcpus"] += one.flavor.vcpus
        used["memory_mib"] += one.flavor.memory_mib
    return used


# Of what is not bounded there may be any number (-1), of what there is not none (0).
QUOTAS = Quotas(
    "compute",
    "/v2.1/os-quota-sets",
    {"instances": "servers", "cores": "vcpus", "ram": "memory_mib"},
    {
        "key_pairs": -1,
        "metadata_items": MOST,
        "server_groups": -1,
        "server_group_members": -1,
        "injected_files": 0,
        "injected_file_content_bytes": 0,
        "injected_file_path_bytes": 0,
        "fixed_ips": -1,
        "floating_ips": -1,
        "security_groups": -1,
        "security_group_rules": -1,
    },
    _usage,
    202,
)


async def limits(call: Call) -> dict[str, Any]:
    """GET /limits."""
    limits, used = await QUOTAS.of(call, ""), await QUOTAS.used(call, "")
    absolute = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxTotalKeypairs": -1,
        "maxServerMeta": MOST,
        "maxServerGroups": -1,
        "maxServerGroupMembers": -1,
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": 0,
    }
    if call.microversion < (2, 57):
        absolute |= {"maxPersonality": 0, "maxPersonalitySize": 0}
    if call.microversion < (2, 39):
        absolute["maxImageMeta"] = MOST
    if call.microversion < (2, 36):
        absolute |= dict.fromkeys(("maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules"), -1)
        absolute |= dict.fromkeys(("totalFloatingIpsUsed", "totalSecurityGroupsUsed"), 0)
    return {"limits": {"rate": [], "absolute": absolute}}


ROUTES = (*QUOTAS.routes(), Route("GET", "/v2.1/limits", limits))
