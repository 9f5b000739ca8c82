"""What is done with a server: one call, whose body names the deed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from gateway.openstack import call as body
from gateway.openstack.call import Call
from gateway.openstack.compute import create, floating_ips, interfaces, servers
from gateway.openstack.compute.surroundings import ports
from gateway.openstack.dialect import Route
from gateway.openstack.faults import Refusal
from gateway.openstack.keyed import texts
from gateway.openstack.limits import whole
from mesh.errors import CloudError
from weft.compute.v1 import server_service_pb2 as pb
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.network.v1 import port_service_pb2, resources_pb2, security_group_service_pb2
from weft.network.v1.port_service_pb2_grpc import PortServiceStub
from weft.network.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

Given = Mapping[str, Any]
Deed = Callable[[Call, Any], Awaitable[Response]]
_NO_SCREEN = "Guests have a serial console and no screen: os-getConsoleOutput shows it."
# Deeds of Nova that weft knows and does not do.
_REFUSED = {
    **dict.fromkeys(
        ("os-getVNCConsole", "os-getSPICEConsole", "os-getRDPConsole", "os-getSerialConsole"), _NO_SCREEN
    ),
    "changePassword": "Passwords are the guest's own affair: use a key pair or user_data.",
    "createBackup": "Images are made one by one: createImage.",
    "os-migrateLive": "Running servers are not moved: migrate moves them while they are off.",
    "evacuate": "Disks of a host that is down are not elsewhere.",
    "trigger_crash_dump": "Guests are not made to crash.",
    **dict.fromkeys(("rescue", "unrescue"), "Servers are not rescued by another image: attach the volume."),
    **dict.fromkeys(("shelve", "unshelve", "shelveOffload"), "Servers are not shelved."),
    **dict.fromkeys(("resetNetwork", "injectNetworkInfo"), "The network is told to guests by DHCP."),
}


async def act(call: Call) -> Response:
    """POST /servers/{id}/action."""
    document = await call.body()
    if len(document) != 1:
        raise Refusal(400, "The body must name one action.")
    ((name, given),) = document.items()
    if name not in _DEEDS and name not in _REFUSED:
        raise Refusal(400, f"There is no such action: {name}.")
    try:
        return await _done(call, name, given)
    except CloudError as error:
        if error.reason != "NOT_FOUND" or not await call.administer():
            raise
        return await _done(call, name, given)  # on another project's server


async def _done(call: Call, name: str, given: Any) -> Response:
    if name in _REFUSED:
        await servers.get(call)  # one that is not there is told first
        raise Refusal(501, _REFUSED[name])
    return await _DEEDS[name](call, given)


def _plain(rpc: str, request: Any, status: int = 202) -> Deed:
    """A deed that takes nothing: the RPC's name, and its message."""

    async def deed(call: Call, given: Any) -> Response:
        if given not in (None, {}, ""):
            raise Refusal(400, "This action takes nothing: null.")
        await getattr(call.stub(ServerServiceStub), rpc)(request(id=call.params["id"]))
        return Response(status_code=status)

    return deed


def _object(given: Any, known: set[str]) -> Given:
    if not isinstance(given, dict):
        raise Refusal(400, "The action must be an object.")
    body.refuse_unknown(given, known)
    return given


async def _reboot(call: Call, given: Any) -> Response:
    kind = body.field(_object(given, {"type"}), "type", str).upper()
    if kind not in ("SOFT", "HARD"):
        raise Refusal(400, f"type: {kind!r} is not one of SOFT, HARD.")
    type = pb.RebootType.Value(f"REBOOT_TYPE_{kind}")
    request = pb.RebootServerRequest(id=call.params["id"], type=type)
    await call.stub(ServerServiceStub).RebootServer(request)
    return Response(status_code=202)


async def _console(call: Call, given: Any) -> Response:
    length = _object(given, {"length"}).get("length")
    lines = 0 if length is None else whole(length, "length")
    if lines == 0 and length is not None:
        return _json({"output": ""})
    request = pb.GetConsoleOutputRequest(id=call.params["id"], lines=max(0, lines))
    answer = await call.stub(ServerServiceStub).GetConsoleOutput(request)
    return _json({"output": answer.output})


async def _lock(call: Call, given: Any) -> Response:
    reason = ""
    if given is not None:
        if call.microversion < (2, 73) and given != {}:
            raise Refusal(400, "lock takes nothing: null.")
        reason = body.field(_object(given, {"locked_reason"}), "locked_reason", str, "")
    await call.stub(ServerServiceStub).LockServer(pb.LockServerRequest(id=call.params["id"], reason=reason))
    return Response(status_code=202)


async def _reset(call: Call, given: Any) -> Response:
    if body.field(_object(given, {"state"}), "state", str) not in ("active", "error"):
        raise Refusal(400, "state must be active or error.")
    await servers.get(call)
    raise Refusal(501, "A status is what is so: it is not set by hand.")


async def _restore(call: Call, given: Any) -> Response:
    server = await servers.get(call)
    raise Refusal(
        409, f"The server {server.id} is not deleted: there is no bin, and what is deleted is gone."
    )


async def _resize(call: Call, given: Any) -> Response:
    flavor = body.field(_object(given, {"flavorRef", servers.DISK_CONFIG}), "flavorRef", str)
    request = pb.ResizeServerRequest(id=call.params["id"], flavor_id=flavor)
    await call.stub(ServerServiceStub).ResizeServer(request)
    return Response(status_code=202)


async def _migrate(call: Call, given: Any) -> Response:
    if given is not None and body.field(_object(given, {"host"}), "host", str, ""):
        raise Refusal(501, "The host to go to is not chosen here: MigrateServer takes its id.")
    await call.administer()
    await call.stub(ServerServiceStub).MigrateServer(pb.MigrateServerRequest(id=call.params["id"]))
    return Response(status_code=202)


async def _image(call: Call, given: Any) -> Response:
    given = _object(given, {"name", "metadata"})
    request = pb.SnapshotServerRequest(
        id=call.params["id"],
        name=body.field(given, "name", str),
        properties=texts(body.field(given, "metadata", dict, {}), "metadata"),
    )
    made = await call.stub(ServerServiceStub).SnapshotServer(request)
    if call.microversion >= (2, 45):
        return _json({"image_id": made.image_id}, 202)
    place = f"{call.root}/image/v2/images/{made.image_id}"
    return Response(status_code=202, headers={"location": place})


_REBUILD = {"imageRef", "name", "metadata", "adminPass", servers.DISK_CONFIG}


async def _rebuild(call: Call, given: Any) -> Response:
    version = call.microversion
    known = _REBUILD | ({"description"} if version >= (2, 19) else set())
    given = _object(given, known | ({"key_name", "user_data"} if version >= (2, 57) else set()))
    servers.check_disk_config(given)
    request = pb.RebuildServerRequest(
        id=call.params["id"],
        image_id=body.field(given, "imageRef", str),
        name=body.field(given, "name", str, ""),
    )
    for name in ("description", "key_name"):
        if name in given:
            setattr(request, name, body.field(given, name, str, ""))
    if "metadata" in given:
        entries = texts(body.field(given, "metadata", dict, {}), "metadata")
        request.metadata.CopyFrom(pb.ServerMetadata(entries=entries))
    if "user_data" in given:
        content = create.decoded(body.field(given, "user_data", str, ""))
        request.user_data.CopyFrom(pb.UserData(content=content))
    one = await call.stub(ServerServiceStub).RebuildServer(request)
    document = await servers.after(call, one)
    if version >= (2, 54):
        document["server"]["key_name"] = one.key_name or None
    if version >= (2, 57):
        document["server"]["user_data"] = None  # which is told to nobody
    return _json(document, 202)


async def _add_group(call: Call, given: Any) -> Response:
    return await _regroup(call, given, lambda there, id: [*there, id] if id not in there else there)


async def _remove_group(call: Call, given: Any) -> Response:
    return await _regroup(call, given, lambda there, id: [one for one in there if one != id])


async def _regroup(call: Call, given: Any, change: Callable[[list[str], str], list[str]]) -> Response:
    name = body.field(_object(given, {"name"}), "name", str)
    server = await servers.get(call)
    group, stub = await _group(call, name), call.stub(PortServiceStub)
    for port in await ports(call, server.id):
        groups = change(list(port.security_group_ids), group)
        if groups != list(port.security_group_ids):
            request = port_service_pb2.UpdatePortRequest(
                id=port.id,
                port=resources_pb2.Port(security_group_ids=groups),
                update_mask=FieldMask(paths=["security_group_ids"]),
                expected_revision=port.revision,
            )
            await stub.UpdatePort(request)
    return Response(status_code=202)


def _passed_on(change: Callable[[Call, Given], Awaitable[None]], known: set[str]) -> Deed:
    async def deed(call: Call, given: Any) -> Response:
        if call.microversion > (2, 43):
            raise Refusal(400, "From 2.44 on the network service is asked.")
        await servers.get(call)
        await change(call, _object(given, known))
        return Response(status_code=202)

    return deed


async def _group(call: Call, name: str) -> str:
    """The id of a security group that is named by name or id."""
    request = security_group_service_pb2.ListSecurityGroupsRequest(page_size=1000)
    answer = await call.stub(SecurityGroupServiceStub).ListSecurityGroups(request)
    for group in answer.security_groups:
        if name in (group.name, group.id):
            return group.id
    raise Refusal(404, f"Security group {name} not found.")


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


_DEEDS: dict[str, Deed] = {
    "reboot": _reboot,
    "forceDelete": _plain("DeleteServer", pb.DeleteServerRequest),
    "os-start": _plain("StartServer", pb.StartServerRequest),
    "os-stop": _plain("StopServer", pb.StopServerRequest),
    "os-getConsoleOutput": _console,
    "pause": _plain("PauseServer", pb.PauseServerRequest),
    "unpause": _plain("UnpauseServer", pb.UnpauseServerRequest),
    "suspend": _plain("SuspendServer", pb.SuspendServerRequest),
    "resume": _plain("ResumeServer", pb.ResumeServerRequest),
    "lock": _lock,
    "unlock": _plain("UnlockServer", pb.UnlockServerRequest),
    "rebuild": _rebuild,
    "createImage": _image,
    "os-resetState": _reset,
    "restore": _restore,
    "resize": _resize,
    "confirmResize": _plain("ConfirmResize", pb.ConfirmResizeRequest, 204),
    "revertResize": _plain("RevertResize", pb.RevertResizeRequest),
    "migrate": _migrate,
    "addFloatingIp": _passed_on(floating_ips.add, {"address", "fixed_address"}),
    "removeFloatingIp": _passed_on(floating_ips.remove, {"address"}),
    "addFixedIp": _passed_on(interfaces.add_address, {"networkId"}),
    "removeFixedIp": _passed_on(interfaces.remove_address, {"address"}),
    "addSecurityGroup": _add_group,
    "removeSecurityGroup": _remove_group,
}
ROUTES = (Route("POST", "/v2.1/servers/{id}/action", act),)
