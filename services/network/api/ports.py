"""PortService."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import ids, kept, masks, replay, watch
from mesh.caller import Caller, Kind, current
from mesh.errors import invalid
from services.network import macs, messages, model
from services.network.api.base import Api, Parts
from services.network.store import networks, port_rows
from services.network.store import ports as store
from weft.network.v1 import port_service_pb2 as verbs
from weft.network.v1 import port_service_pb2_grpc as grpc_base
from weft.network.v1 import resources_pb2 as pb

_PLAIN = (
    *("name", "description", "tags", "admin_state_up"),
    *("port_security_enabled", "device_id", "device_owner"),
)


class Ports(grpc_base.PortServiceServicer, Api):
    """Connections to networks."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._kept = store.kept()

    async def GetPort(self, request: verbs.GetPortRequest, context: Any) -> pb.Port:
        """NOT_FOUND."""
        who = current()
        port = await self.database.peek(store.get, request.id, who.reach)
        return messages.port(port, full=model.privileged(who))

    async def ListPorts(self, request: verbs.ListPortsRequest, context: Any) -> verbs.ListPortsResponse:
        """PAGE_TOKEN_INVALID; PERMISSION_DENIED for the filter by host."""
        who = current()
        if request.host_id and not model.privileged(who):
            raise model.denied("network.ports.list", who, "The filter by host_id needs the role admin.")
        names = ("network_id", "device_id", "device_owner", "host_id", "name", "mac_address")
        wanted = {name: getattr(request, name) for name in names}
        page, token = await self.database.read(
            store.page, self._kept, request, who, wanted, request.ip_address, request.security_group_id
        )
        answer = verbs.ListPortsResponse(next_page_token=token)
        kept.put(answer.ports, page)
        if not model.privileged(who):
            for port in answer.ports:
                messages.hide(port)
        return answer

    async def CreatePort(self, request: verbs.CreatePortRequest, context: Any) -> pb.Port:
        """NOT_FOUND, PERMISSION_DENIED, QUOTA_EXCEEDED, ALREADY_EXISTS, ADDRESSES_EXHAUSTED, ADDRESS_IN_USE,
        ADDRESS_OUT_OF_RANGE.
        """
        who = current()
        values = _new(request, who)
        limits = await self.limits.of(values["project_id"])

        def create(connection: Any) -> pb.Port:
            network = networks.get(connection, request.network_id, who.reach, "share")
            _check_network(network, request, who)
            values["port_security_enabled"] = (
                network.port_security_enabled and not request.port_security_disabled
            )
            groups = _groups(request, secured=values["port_security_enabled"])
            wanted = messages.wanted_ips(request.fixed_ips)
            port = store.create(connection, network, values, wanted, groups, limits)
            return messages.port(port, full=model.privileged(who))

        return await self.change(request, pb.Port, create)

    async def UpdatePort(self, request: verbs.UpdatePortRequest, context: Any) -> pb.Port:
        """NOT_FOUND, PERMISSION_DENIED, REVISION_MISMATCH, IN_USE and what CreatePort answers."""
        who = current()
        converters: dict[str, Any] = {
            **dict.fromkeys(_PLAIN, ...),
            "fixed_ips": messages.wanted_ips,
            "security_group_ids": ...,
            "allowed_address_pairs": _pairs,
        }
        values = masks.apply(request.update_mask, request.port, converters)

        def update(connection: Any) -> pb.Port:
            before = store.get(connection, request.id, who.reach, "update")
            network = networks.get(connection, before.network_id, None, "share")
            changes = {name: value for name, value in values.items() if not _has(before, name, value)}
            _check_update(before, network, changes, who)
            after = store.update(connection, before, network, request.expected_revision, changes)
            return messages.port(after, full=model.privileged(who))

        return await self.change(request, pb.Port, update)

    async def DeletePort(self, request: verbs.DeletePortRequest, context: Any) -> Empty:
        """NOT_FOUND, IN_USE, REVISION_MISMATCH."""
        who = current()

        def delete(connection: Any) -> None:
            if request.allow_missing and who.service:
                # A service's port has the id of the request that makes it; that may be on its way still.
                replay.take_back(connection, who, verbs.CreatePortRequest, request.id)
            port = store.get(connection, request.id, who.reach, "update")
            store.delete(connection, port, request.expected_revision)

        return await self.remove(request, delete)

    async def BindPort(self, request: verbs.BindPortRequest, context: Any) -> pb.Port:
        """NOT_FOUND, WRONG_STATUS, IN_USE."""
        who = current()

        def bind(connection: Any) -> pb.Port:
            port = store.get(connection, request.id, who.reach, "update")
            return messages.port(store.bind(connection, port, request.host_id, request.device_id), full=True)

        return await self.change(request, pb.Port, bind)

    async def UnbindPort(self, request: verbs.UnbindPortRequest, context: Any) -> pb.Port:
        """NOT_FOUND, IN_USE."""
        who = current()

        def unbind(connection: Any) -> pb.Port:
            port = store.get(connection, request.id, who.reach, "update")
            return messages.port(store.unbind(connection, port, request.host_id), full=True)

        return await self.change(request, pb.Port, unbind)

    async def WatchPorts(
        self, request: verbs.WatchPortsRequest, context: Any
    ) -> AsyncIterator[verbs.WatchPortsResponse]:
        """WATCH_TOO_OLD."""
        who = current()
        async for event in watch.stream(self.database, "port", request.from_revision or None, who.reach):
            port = pb.Port.FromString(event.payload)
            if not model.privileged(who):
                messages.hide(port)
            yield verbs.WatchPortsResponse(revision=event.revision, type=event.type, port=port)


def _new(request: verbs.CreatePortRequest, who: Caller) -> dict[str, Any]:
    _check_device(request.device_owner, request.device_id, who)
    _check_host(request, who)
    values: dict[str, Any] = {
        "id": request.id or ids.new(),
        "project_id": model.project_of(who, request.project_id, "network.ports.create"),
        "name": request.name,
        "description": request.description,
        "allowed_address_pairs": _pairs(request.allowed_address_pairs),
        "admin_state_up": not request.admin_state_down,
        "device_owner": request.device_owner,
        "device_id": request.device_id,
        "host_id": request.host_id,
        "tags": list(request.tags),
    }
    if request.mac_address:
        values["mac_address"] = macs.check(request.mac_address)
    return values


def _groups(request: verbs.CreatePortRequest, *, secured: bool) -> list[str] | None:
    """The groups that are asked for; None means the project's default."""
    if request.no_security_groups or not secured:
        if request.security_group_ids:
            raise invalid("security_group_ids", "the port is to have none")
        return []
    return list(request.security_group_ids) or None


def _check_network(network: model.Network, request: verbs.CreatePortRequest, who: Caller) -> None:
    """On a network of another project a port takes what it is given, and passes for nobody else."""
    if who.reach in (None, network.project_id) or model.administers(who):
        return
    permission = "network.ports.create"
    if network.external:
        raise model.denied(permission, who, f"The network {network.id} is for routers and floating IPs.")
    asked = {
        "mac_address": request.mac_address,
        "fixed_ips.ip_address": any(ip.ip_address for ip in request.fixed_ips),
        "allowed_address_pairs": request.allowed_address_pairs,
        "port_security_disabled": request.port_security_disabled,
    }
    _refuse_asked([name for name, value in asked.items() if value], permission, who)


def _check_update(before: model.Port, network: model.Network, values: dict[str, Any], who: Caller) -> None:
    if before.device_owner.startswith(model.OWN) and values.keys() - {"name", "description", "tags"}:
        port_rows.refuse_own(before)
    _check_device(values.get("device_owner", ""), values.get("device_id", ""), who)
    secured = values.get("port_security_enabled", before.port_security_enabled)
    kept = {ip.ip_address for ip in before.fixed_ips}
    asked = [
        *(ip.ip_address for ip in values.get("fixed_ips", ()) if ip.ip_address and ip.ip_address not in kept),
        *("allowed_address_pairs" for _ in values.get("allowed_address_pairs", ())),
        *(() if secured else ("port_security_enabled",)),
    ]
    if who.reach not in (None, network.project_id) and not model.administers(who):
        _refuse_asked(asked, "network.ports.update", who)
    if not secured and values.get("security_group_ids", before.security_group_ids):
        raise invalid("port.port_security_enabled", "take the port's security groups from it first")


def _has(before: model.Port, name: str, value: Any) -> bool:
    """Whether it has just the addresses that are wished for: it keeps those, whatever else a subnet has."""
    return (
        name == "fixed_ips"
        and len(value) == len(before.fixed_ips)
        and all(wish.subnet_id or wish.ip_address for wish in value)
        and all(has.grants(wish) for has, wish in zip(before.fixed_ips, value, strict=True))
    )


def _refuse_asked(asked: list[str], permission: str, who: Caller) -> None:
    if asked:
        message = f"Only the network's own project may ask for this: {', '.join(asked)}."
        raise model.denied(permission, who, message)


def _check_device(owner: str, device_id: str, who: Caller) -> None:
    if owner.startswith(model.OWN):
        raise invalid("device_owner", f"what begins with {model.OWN} is made by routers and floating IPs")
    if (owner or device_id) and who.kind is not Kind.SERVICE and not model.administers(who):
        raise model.denied("network.ports.create", who, "Only services say what a port is for.")


def _check_host(request: verbs.CreatePortRequest, who: Caller) -> None:
    if not request.host_id:
        return
    if who.kind is not Kind.SERVICE:
        raise model.denied("network.ports.create", who, "Only services say which host a port is on.")
    if not request.device_id:
        raise invalid("host_id", "a port is on a host for a device: name its device_id too")


def _pairs(values: Any) -> list[list[str]]:
    pairs = []
    for pair in values:
        try:
            address = ip_network(pair.ip_address, strict=False)
        except ValueError as error:
            raise invalid("allowed_address_pairs.ip_address", str(error)) from error
        text = str(address) if "/" in pair.ip_address else str(address.network_address)
        pairs.append([text, pair.mac_address])
    return pairs
