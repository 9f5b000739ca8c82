"""The rules see each kind of ghost, and none where there is none."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mesh import ids
from node.wire import names
from tests.chaos import rules
from tests.chaos.books import Books, HostBooks
from tests.chaos.told import Presence, Thing, Told
from weft.node.v1.resources_pb2 import GuestSpec, GuestVolume

HERE, THERE, SERVER, VOLUME, ATTACHMENT, PORT, POOL, NET, MINE, IP, ROUTER, IMAGE = (
    ids.new() for _ in range(12)
)
SHA = "ab" * 32


def books() -> Books:
    """A server on one host, with a port, and with a volume that is on another host, and an image."""
    volume = {"volume_id": VOLUME, "attachment_id": ATTACHMENT, "device": "vdb"}
    port = {"port_id": PORT, "network_id": NET}
    named = {"project_id": MINE, "operation_id": None}
    rows: dict[str, list[dict[str, Any]]] = {
        "servers": [
            {"id": SERVER, "name": "s", "status": "ACTIVE", "status_reason": "", "host_id": HERE, "vcpus": 1}
            | {"memory_mib": 128, "ports": [port], "volumes": [volume], "resize": {}}
            | named
        ],
        "volumes": [
            {"id": VOLUME, "name": "v", "status": "IN_USE", "status_reason": "", "pool_id": POOL} | named
        ],
        "pools": [{"id": POOL, "host_id": THERE}],
        "attachments": [
            {
                "id": ATTACHMENT,
                "volume_id": VOLUME,
                "server_id": SERVER,
                "host_id": HERE,
                "status": "ATTACHED",
            }
        ],
        "ports": [
            {"id": PORT, "name": "p", "device_owner": "compute", "device_id": SERVER, "host_id": HERE}
            | {"network_id": NET, "mac_address": "02:00:00:00:00:01", "status": "ACTIVE"}
            | named
        ],
        "fixed_ips": [{"network_id": NET, "ip_address": "10.0.0.5", "port_id": PORT}],
        "floating_ips": [
            {"id": IP, "name": "f", "network_id": "out", "address": "203.0.113.5", "port_id": PORT} | named
        ],
        "routers": [{"id": ROUTER, "gateway_network_id": "out", "host_id": HERE} | named],
        "networks": [{"id": NET} | named],
        **{table: [] for table in ("security_groups", "snapshots", "projects")},
        "images": [
            {"id": IMAGE, "name": "i", "status": "ACTIVE", "status_reason": "", "sha256": SHA} | named
        ],
        "allocations": [
            {"consumer_id": SERVER, "provider_id": HERE, "resource_class": name, "amount": amount}
            for name, amount in (("VCPU", 1), ("MEMORY_MB", 128), ("DISK_GB", 1))
        ],
        "operations": [],
    }
    spec = GuestSpec(volumes=[GuestVolume(attachment_id=ATTACHMENT, volume_id=VOLUME)])
    here = HostBooks(
        real=True,
        specs={SERVER: spec},
        running={SERVER: True},
        processes=["qemu-system-x86"],
        links={names.tap(PORT), names.bridge(NET)},
        namespaces={names.router_space(ROUTER, HERE)},
        guest_folders={SERVER},
    )
    return Books(rows, {HERE: here, THERE: HostBooks(volumes={VOLUME}, exports={"e": VOLUME})}, {SHA: SHA})


def told() -> Told:
    """What their owner was told of them."""
    return Told(
        [
            Thing("server", "s", MINE, SERVER, Presence.THERE, "ACTIVE"),
            Thing("volume", "v", MINE, VOLUME, Presence.THERE, "IN_USE", SERVER),
            Thing("port", "p", MINE, PORT, Presence.THERE),
            Thing("floating_ip", "f", MINE, IP, Presence.THERE, holder=PORT),
            Thing("image", "i", MINE, IMAGE, Presence.THERE, "ACTIVE", sha256=SHA),
        ]
    )


def waiting() -> dict[str, Any]:
    """A server's columns while its resize waits to be decided, on the host that it was on."""
    small, large = ({"vcpus": 1, "memory_mib": size} for size in (128, 160))
    before = {"host_id": HERE, "flavor": small, "moved": False}
    return {"status": "VERIFY_RESIZE", "resize": before, "flavor": large, "spare_claim_id": "spare"}


Ghost = Callable[[Books, Told], object]
GHOSTS: dict[str, tuple[str, Ghost]] = {
    "a purged project has a server": (
        f"was purged and has servers {SERVER}",
        lambda b, t: t.things.append(Thing("project", "t", "", MINE, Presence.GONE))),
    "a purged project is there": (
        "was purged and is there",
        lambda b, t: (
            t.things.append(Thing("project", "t", "", THERE, Presence.GONE)),
            b.rows["projects"].append({"id": THERE}))),
    "a server that was acknowledged is lost": (
        "was acknowledged and is not there", lambda b, t: b.servers.clear()),
    "a deleted volume is there": (
        "was deleted and is", lambda b, t: setattr(t.things[1], "presence", Presence.GONE)),
    "a server is not as it was said to be": (
        "should be STOPPED", lambda b, t: setattr(t.things[0], "status", "STOPPED")),
    "a volume is not where it was said to be": (
        "should be with nobody", lambda b, t: setattr(t.things[1], "holder", "")),
    "a floating IP leads elsewhere": (
        "should lead to nowhere", lambda b, t: setattr(t.things[3], "holder", "")),
    "one name is there twice": (
        "there are 2 of port", lambda b, t: b.ports.append({**b.ports[0], "id": "y", "mac_address": "x"})),
    "there is something that nobody asked for": (
        "nobody asked for volume", lambda b, t: b.volumes.append({**b.volumes[0], "id": "y", "name": "w"})),
    "a caller was told two things": (
        "cannot be", lambda b, t: t.contradiction("this cannot be")),
    "a server is in transition without an operation": (
        "is STOPPING with operation None", lambda b, t: b.servers[0].update(status="STOPPING")),
    "a server has an operation that is over": (
        "is ACTIVE with operation", lambda b, t: b.servers[0].update(operation_id="gone")),
    "an operation is not over": (
        "is RUNNING", lambda b, t: b.operations.append(
            {"service": "compute", "kind": "server.boot", "id": "o", "state": "RUNNING", "committed": 0})),
    "placement holds something for nobody": (
        "which is no server", lambda b, t: b.allocations.append({**b.allocations[0], "consumer_id": "x"})),
    "placement holds too little": (
        "holds", lambda b, t: b.allocations.pop(0)),
    "a resize that waits has no room": (
        "MEMORY_MB': 32}, by spare", lambda b, t: b.servers[0].update(waiting())),
    "a guest runs on two hosts": (
        "is on 2 hosts", lambda b, t: b.hosts[THERE].running.update({SERVER: True})),
    "a guest is of no server": (
        "whose server is not there", lambda b, t: b.hosts[HERE].running.update(x=True)),
    "an ACTIVE server is off": (
        "its guest is off", lambda b, t: b.hosts[HERE].running.update({SERVER: False})),
    "a server has no guest": (
        "has no guest", lambda b, t: b.hosts[HERE].running.clear()),
    "a guest is not in the ledger": (
        "not in the ledger", lambda b, t: b.hosts[HERE].specs.clear()),
    "a host has a volume of nobody": (
        "has volume", lambda b, t: b.hosts[HERE].volumes.add("x")),
    "a host has lost a volume": (
        "is not on its host", lambda b, t: b.hosts[THERE].volumes.clear()),
    "block has an attachment that compute has not": (
        "is in block and not in compute", lambda b, t: b.servers[0].update(volumes=[])),
    "compute has an attachment that block has not": (
        "is in compute and not in block", lambda b, t: b.attachments.clear()),
    "an attachment is not whole": (
        "is RESERVED", lambda b, t: b.attachments[0].update(status="RESERVED")),
    "a volume is exported for nobody": (
        "for nobody", lambda b, t: b.hosts[HERE].exports.update(y="x")),
    "a volume is not exported": (
        "is not exported", lambda b, t: b.hosts[THERE].exports.clear()),
    "a port is of a server that is gone": (
        "which does not have it", lambda b, t: b.servers[0].update(ports=[])),
    "a port is on another host than its server": (
        "not as", lambda b, t: b.ports[0].update(host_id=THERE)),
    "a server's port is gone": (
        "which is not there", lambda b, t: b.ports.clear()),
    "an address has two owners": (
        "has 2 owners", lambda b, t: b.fixed_ips.append({**b.fixed_ips[0], "port_id": "x"})),
    "a router is nowhere": (
        "which is not there", lambda b, t: b.routers[0].update(host_id="")),
    "a tap is of no port": (
        "is of no port", lambda b, t: b.hosts[HERE].links.add("tap00000000-00")),
    "a bridge is of no network": (
        "is of no network", lambda b, t: b.hosts[HERE].links.add("wb00000000-00")),
    "a namespace is of no router": (
        "is of no router", lambda b, t: b.hosts[HERE].namespaces.add("weft-r-x")),
    "QEMU runs without a guest": (
        "QEMU processes", lambda b, t: b.hosts[HERE].processes.append("qemu-system-x86")),
    "files are left of a guest": (
        "files of guest", lambda b, t: b.hosts[HERE].guest_folders.add("x")),
    "a file was never finished": (
        "x.making was never finished", lambda b, t: b.hosts[HERE].unfinished_files.append("x.making")),
    "an image that was acknowledged is lost": (
        "was acknowledged and is not there", lambda b, t: b.images.clear()),
    "an image that was deleted is there": (
        "was deleted and is ACTIVE", lambda b, t: setattr(t.things[4], "presence", Presence.GONE)),
    "an image is importing without an operation": (
        "is IMPORTING with operation None", lambda b, t: b.images[0].update(status="IMPORTING")),
    "an image has an import that is over": (
        "is IMPORTING with operation gone",
        lambda b, t: b.images[0].update(status="IMPORTING", operation_id="gone")),
    "an import is not over": (
        "image image.import o is RUNNING", lambda b, t: b.operations.append(
            {"service": "image", "kind": "image.import", "id": "o", "state": "RUNNING", "committed": 0})),
    "an image has another content than was said": (
        "should have the content", lambda b, t: setattr(t.things[4], "sha256", "cd" * 32)),
    "an image has lost its content": (
        "is not there", lambda b, t: b.contents.clear()),
    "a content is not whole": (
        "in truth", lambda b, t: b.contents.update({SHA: "cd" * 32})),
    "an image keeps what its import brought and took back": (
        "is QUEUED and holds", lambda b, t: b.images[0].update(status="QUEUED")),
    "a content is of no image": (
        "is of no image", lambda b, t: b.contents.update({"cd" * 32: "cd" * 32})),
    "a content is left in the middle": (
        "content x was never finished", lambda b, t: b.incoming.add("x")),
    "a purged project has an image": (
        f"was purged and has images {IMAGE}",
        lambda b, t: t.things.append(Thing("project", "t", "", MINE, Presence.GONE))),
}  # fmt: skip


def test_there_is_no_ghost_where_all_is_as_it_should_be() -> None:
    assert rules.broken(books(), told()) == []


def test_there_is_none_where_a_resize_waits_and_has_its_room() -> None:
    found, said = books(), told()
    found.servers[0].update(waiting())
    more = {"consumer_id": "spare", "provider_id": HERE, "resource_class": "MEMORY_MB", "amount": 32}
    found.allocations.append(more)
    said.things[0].status = "VERIFY_RESIZE"
    assert rules.broken(found, said) == []


@pytest.mark.parametrize("name", GHOSTS)
def test_a_ghost_is_seen(name: str) -> None:
    sentence, plant = GHOSTS[name]
    found, said = copy.deepcopy(books()), told()
    plant(found, said)
    assert any(sentence in each for each in rules.broken(found, said)), rules.broken(found, said)
