"""What a guest is told about itself, in OpenStack's form and in EC2's.

The config drive carries the OpenStack files; the metadata server at 169.254.169.254 answers all of it. Keys
are paths without a slash at either end; directories are there too, as the listings that EC2 clients walk.
"""

from ipaddress import ip_interface
from typing import Any

import orjson

from mesh import clock
from weft.network.v1.host_state_pb2 import HostPort
from weft.node.v1.resources_pb2 import GuestAddress, GuestPort, GuestSpec

# Versions that cloud-init and cloudbase-init look for; what is said is the same in each.
OPENSTACK_VERSIONS = ("2012-08-10", "2013-10-17", "2015-10-15", "2018-08-27", "latest")
EC2_VERSIONS = ("2009-04-04", "latest")
_PASSWORDS = frozenset(f"openstack/{version}/password" for version in OPENSTACK_VERSIONS)


def documents(spec: GuestSpec, port: GuestPort | None, wired: HostPort | None = None) -> dict[str, bytes]:
    """Everything that the metadata server answers to a guest that asks through `port`, whose addresses are
    those of `wired` where the network service has told them.
    """
    found = {"": _listing(("openstack", *EC2_VERSIONS)), "openstack": _listing(OPENSTACK_VERSIONS)}
    files = _openstack(spec)
    for version in OPENSTACK_VERSIONS:
        found[f"openstack/{version}"] = _listing((*files, "password"))
        found.update({f"openstack/{version}/{name}": body for name, body in files.items()})
    tree = _ec2(spec, port, wired)
    for version in EC2_VERSIONS:
        root = ("meta-data/", "user-data") if spec.metadata.user_data else ("meta-data/",)
        found[version] = _listing(root)
        found[f"{version}/meta-data"] = _directory(tree)
        _lay(found, f"{version}/meta-data", tree)
        if spec.metadata.user_data:
            found[f"{version}/user-data"] = spec.metadata.user_data
    return found


def files(spec: GuestSpec) -> dict[str, bytes]:
    """Everything on the config drive, by path."""
    versions = ("2018-08-27", "latest")
    return {f"openstack/{v}/{name}": body for v in versions for name, body in _openstack(spec).items()}


def ec2_id(server_id: str) -> str:
    """The server's id as EC2 clients expect one."""
    return "i-" + server_id.replace("-", "")[:17]


def _openstack(spec: GuestSpec) -> dict[str, bytes]:
    found = {
        "meta_data.json": orjson.dumps(_meta_data(spec)),
        "network_data.json": orjson.dumps(_network_data(spec)),
        "vendor_data.json": b"{}",
    }
    if spec.metadata.user_data:
        found["user_data"] = spec.metadata.user_data
    return found


def _meta_data(spec: GuestSpec) -> dict[str, Any]:
    told = spec.metadata
    keys = sorted(told.public_keys.items())
    return {
        "uuid": spec.server_id,
        "name": told.name,
        "hostname": told.hostname,
        "project_id": told.project_id,
        "availability_zone": told.availability_zone,
        "launch_index": 0,
        "public_keys": dict(keys),
        "keys": [{"name": name, "type": "ssh", "data": key} for name, key in keys],
        "meta": dict(sorted(told.metadata.items())),
        "devices": [],
    }


def _network_data(spec: GuestSpec) -> dict[str, Any]:
    """Links are cards, networks are addresses on them."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    servers: list[str] = []
    for number, port in enumerate(spec.ports):
        link = f"tap{port.port_id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": port.port_id,
                "type": "phy",
                "ethernet_mac_address": port.mac_address,
                "mtu": port.mtu or None,
            }
        )
        for address in port.addresses:
            networks.append(_network(f"network{number}-{len(networks)}", link, port, address))
            servers += [server for server in address.dns_nameservers if server not in servers]
    return {
        "links": links,
        "networks": networks,
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def _network(name: str, link: str, port: GuestPort, address: GuestAddress) -> dict[str, Any]:
    mine = ip_interface(address.address)
    anywhere = {4: ("0.0.0.0", "0.0.0.0"), 6: ("::", "::")}[mine.version]
    routes = []
    if address.gateway:
        routes = [{"network": anywhere[0], "netmask": anywhere[1], "gateway": address.gateway}]
    return {
        "id": name,
        "network_id": port.network_id,
        "link": link,
        "type": f"ipv{mine.version}",
        "ip_address": str(mine.ip),
        "netmask": str(mine.netmask),
        "gateway": address.gateway or None,
        "routes": routes,
        "services": [{"type": "dns", "address": server} for server in address.dns_nameservers],
    }


def is_password(path: str) -> bool:
    """Whether it is where a guest leaves a password for its owner, and finds the one that it has left."""
    return path in _PASSWORDS


def _ec2(spec: GuestSpec, port: GuestPort | None, wired: HostPort | None) -> dict[str, Any]:
    """A tree: leaves are text, branches are directories."""
    told = spec.metadata
    tree: dict[str, Any] = {
        "ami-id": f"ami-{told.image_id.replace('-', '')[:17]}" if told.image_id else "ami-none",
        "ami-launch-index": "0",
        "hostname": told.hostname,
        "local-hostname": told.hostname,
        "instance-id": ec2_id(spec.server_id),
        "instance-type": told.flavor_name,
        "placement": {"availability-zone": told.availability_zone},
        "reservation-id": "r-" + spec.server_id.replace("-", "")[:17],
        "security-groups": "\n".join(told.security_groups),
    }
    if told.HasField("launched_at"):
        tree["launch-time"] = clock.from_proto(told.launched_at).isoformat()
    if port is not None:
        tree["mac"] = port.mac_address
        addresses = (
            [ip.ip_address for ip in wired.fixed_ips] if wired else [a.address for a in port.addresses]
        )
        tree["local-ipv4"] = next((a.partition("/")[0] for a in addresses if ":" not in a), "")
        tree["public-ipv4"] = wired.floating_ips[0] if wired and wired.floating_ips else ""
    if told.public_keys:
        keys = enumerate(sorted(told.public_keys.items()))
        tree["public-keys"] = {f"{n}={name}": {"openssh-key": key} for n, (name, key) in keys}
    return tree


def _lay(found: dict[str, bytes], base: str, tree: dict[str, Any]) -> None:
    for name, value in tree.items():
        path = f"{base}/{name.partition('=')[0]}"
        if isinstance(value, str):
            found[path] = value.encode()
        else:
            found[path] = _directory(value)
            _lay(found, path, value)


def _directory(tree: dict[str, Any]) -> bytes:
    """EC2 marks directories by a slash, but a key by its number and name."""
    return _listing(n if isinstance(v, str) or "=" in n else f"{n}/" for n, v in sorted(tree.items()))


def _listing(names: Any) -> bytes:
    return "\n".join(names).encode()
