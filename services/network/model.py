"""Values and rules of the network service: pure, without I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address

from mesh import ids
from mesh.caller import Caller, Kind
from mesh.errors import CloudError, invalid

# Ports with an owner that begins so are the network's own: nobody deletes or binds them by hand.
OWN = "network:"
ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
DHCP = "network:dhcp"
COMPUTE = "compute"
DEFAULT_GROUP = "default"
DEFAULT_MTU = {"VXLAN": 1450, "FLAT": 1500}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What every resource has. `revision` grows with each change."""

    id: str
    project_id: str
    description: str = ""
    created_at: datetime
    updated_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Resource):
    """A layer 2 segment. `type` is VXLAN or FLAT."""

    name: str
    type: str
    segmentation_id: int | None
    physical_network: str | None
    mtu: int
    shared: bool
    external: bool
    admin_state_up: bool
    port_security_enabled: bool
    tags: list[str]
    subnet_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet(Resource):
    """Addresses of a network. Pools and routes are lists of pairs of texts."""

    name: str
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str
    dhcp_enabled: bool
    dns_nameservers: list[str]
    allocation_pools: list[list[str]]
    host_routes: list[list[str]]
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port, or the wish for one: of any subnet where that is "", any where the address is."""

    subnet_id: str
    ip_address: str

    def grants(self, wish: "FixedIp") -> bool:
        """Whether it is an address that is wished for; no wish at all is granted too."""
        return wish.subnet_id in ("", self.subnet_id) and (
            not wish.ip_address or ip_address(wish.ip_address) == ip_address(self.ip_address)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Port(Resource):
    """Where something is connected. `wire_revision` is the revision of the last change that its host must
    wire; `status` is UNBOUND, BINDING, ACTIVE or DOWN.
    """

    name: str
    network_id: str
    mac_address: str
    port_security_enabled: bool
    allowed_address_pairs: list[list[str]]
    status: str
    status_reason: str = ""
    operation_id: str | None = None
    admin_state_up: bool
    device_owner: str
    device_id: str
    host_id: str
    wire_revision: int
    tags: list[str]
    fixed_ips: tuple[FixedIp, ...] = ()
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A router's foot in a subnet."""

    port_id: str
    network_id: str
    subnet_id: str
    mac_address: str
    ip_address: str
    cidr: str

    @property
    def address(self) -> str:
        """With the prefix length, as a kernel wants it."""
        return f"{self.ip_address}/{self.cidr.partition('/')[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Router(Resource):
    """Routes between subnets, and out by `gateway`, on the host `host_id`, where it has one."""

    name: str
    admin_state_up: bool
    routes: list[list[str]]
    gateway_network_id: str | None
    snat_enabled: bool
    host_id: str
    operation_id: str | None = None
    gateway: Interface | None = None
    tags: list[str] = field(default_factory=list)
    interfaces: tuple[Interface, ...] = ()

    @property
    def feet(self) -> tuple[Interface, ...]:
        """All that it stands on: its interfaces, and its way out."""
        return (*self.interfaces, self.gateway) if self.gateway else self.interfaces

    @property
    def network_ids(self) -> set[str]:
        """The networks that it stands in."""
        return {foot.network_id for foot in self.feet}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp(Resource):
    """An address of an external network; it leads to `fixed_ip` of `port_id` by `router_id` where set."""

    network_id: str
    address: str
    port_id: str | None
    fixed_ip: str
    router_id: str | None
    operation_id: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Resource):
    """Something that a security group allows. `direction` is INGRESS or EGRESS."""

    security_group_id: str
    direction: str
    ip_version: int
    protocol: str
    port_min: int | None
    port_max: int | None
    remote_cidr: str
    remote_group_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Resource):
    """A set of rules."""

    name: str
    tags: list[str] = field(default_factory=list)
    rules: tuple[Rule, ...] = ()


def default_group_id(project_id: str) -> str:
    """The id of a project's `default` group: derived, so that two who make it at once make one."""
    return ids.derived(project_id, "security_group/default")


def administers(caller: Caller) -> bool:
    """Whether it may make what is for every project, and use another's network as if it were its own."""
    return "admin" in caller.roles or caller.reach is None


def privileged(caller: Caller) -> bool:
    """Whether it may see where things are."""
    return caller.kind in (Kind.SERVICE, Kind.NODE) or administers(caller)


def denied(permission: str, caller: Caller, message: str) -> CloudError:
    """The caller may see the thing, or make others like it, but not this."""
    role = ",".join(sorted(caller.roles))
    return CloudError("PERMISSION_DENIED", message, permission=permission, scope=caller.scope, role=role)


def project_of(caller: Caller, asked: str, permission: str) -> str:
    """The project that what the caller creates belongs to: its own, unless the system asks for another's.

    INVALID_ARGUMENT when it has none, PERMISSION_DENIED when it may not make things for another.
    """
    if asked and asked != caller.project_id:
        if caller.reach is not None or not administers(caller):
            raise denied(permission, caller, "Only administrators of the system make things for a project.")
        return asked
    if not caller.project_id:
        raise invalid("project_id", "log in to the project that the new resource is to belong to")
    return caller.project_id


def require_owned(resource: Resource, caller: Caller, permission: str) -> None:
    """What is shared may be seen and used by all, but only its own project changes it."""
    if caller.reach is not None and resource.project_id != caller.reach:
        raise denied(permission, caller, f"{resource.id} belongs to another project, which alone changes it.")


def require_admin(caller: Caller, permission: str, what: str) -> None:
    """PERMISSION_DENIED unless the caller is an administrator."""
    if not administers(caller):
        raise denied(permission, caller, f"{what} needs the role admin.")
