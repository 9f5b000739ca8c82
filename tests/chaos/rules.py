"""What must hold whatever happened: each rule says in sentences where it does not."""

from collections import Counter
from collections.abc import Callable, Iterator

from node.wire import names
from tests.chaos.books import Books, HostBooks, Row
from tests.chaos.told import Presence, Thing, Told

Rule = Callable[[Books, Told], Iterator[str]]
_TABLES = {"server": "servers", "volume": "volumes", "port": "ports"}
_TABLES |= {"floating_ip": "floating_ips", "image": "images"}
_OF_PROJECTS = (
    *("servers", "volumes", "snapshots", "images"),
    *("ports", "floating_ips", "routers", "networks", "security_groups"),
)


def what_was_told_holds(books: Books, told: Told) -> Iterator[str]:
    """What is acknowledged is there as it was said; what is deleted is gone; nothing is there twice."""
    yield from told.contradictions
    for kind, table in _TABLES.items():
        rows = books.by_id(table)
        for thing in told.of(kind):
            yield from _holds(thing, rows)
        known = {(t.project_id, t.name) for t in told.of(kind)}
        seen = Counter((row["project_id"], row["name"]) for row in rows.values())
        yield from (f"there are {n} of {kind} {key[1]}" for key, n in seen.items() if n > 1 and key in known)
        ours = {t.project_id for t in told.things}
        yield from (
            f"nobody asked for {kind} {row['name']} {row['id']}"
            for row in rows.values()
            if row["project_id"] in ours and row["name"] and (row["project_id"], row["name"]) not in known
        )


def _holds(thing: Thing, rows: dict[str, Row]) -> Iterator[str]:
    row = rows.get(thing.id)
    if thing.presence is Presence.GONE and thing.id and row:
        yield f"{thing} was deleted and is {row.get('status', 'there')}"
    if thing.presence is Presence.GONE and not thing.id:
        refused = [
            row for row in rows.values() if (row["project_id"], row["name"]) == (thing.project_id, thing.name)
        ]
        yield from (f"{thing} was refused and is there as {row['id']}" for row in refused)
    if thing.presence is not Presence.THERE:
        return
    if row is None:
        yield f"{thing} was acknowledged and is not there"
    elif thing.kind in ("server", "volume", "image") and thing.status not in ("", row["status"]):
        yield f"{thing} should be {thing.status} and is {row['status']}: {row['status_reason']}"
    elif thing.kind == "floating_ip" and thing.holder is not None and (row["port_id"] or "") != thing.holder:
        yield f"{thing} should lead to {thing.holder or 'nowhere'} and leads to {row['port_id']}"


def volumes_are_where_told(books: Books, told: Told) -> Iterator[str]:
    """A volume is its server's and nobody else's."""
    holders = {row["volume_id"]: row["server_id"] for row in books.attachments}
    for thing in told.of("volume"):
        if thing.usable and thing.holder is not None and holders.get(thing.id, "") != thing.holder:
            yield f"{thing} should be with {thing.holder or 'nobody'} and is with {holders.get(thing.id)}"


def nothing_is_in_between(books: Books, told: Told) -> Iterator[str]:
    """A transition has a live operation, and when all is calm there is none of either."""
    live = {row["id"] for row in books.operations}
    for row in books.operations:
        yield f"{row['service']} {row['kind']} {row['id']} is {row['state']}, committed {row['committed']}"
    for table in ("servers", "volumes", "images"):
        for row in books.rows[table]:
            if row["status"].endswith("ING") or (row["operation_id"] and row["operation_id"] not in live):
                yield f"{table[:-1]} {row['id']} is {row['status']} with operation {row['operation_id']}"


def allocations_are_servers(books: Books, told: Told) -> Iterator[str]:
    """What placement holds on a host is the sum of the servers there, one by one; a resize that waits to be
    decided has a claim of its own.
    """
    held: dict[str, Counter[str]] = {}
    for row in books.allocations:
        claim = f"{row['provider_id']} {row['resource_class']}"
        held.setdefault(row["consumer_id"], Counter())[claim] += row["amount"]
    claims = {id: (server, claim) for server in books.servers for id, claim in _claims(server)}
    yield from (f"allocation of {id}, which is no server" for id in held.keys() - claims.keys())
    for id, (server, wanted) in claims.items():
        found = Counter({k: v for k, v in held.get(id, Counter()).items() if not k.endswith("DISK_GB")})
        if found != wanted:
            what = f"server {server['id']} ({server['status']})"
            yield f"{what} holds {dict(found)}, not {dict(wanted)}, by {id}"


def _claims(server: Row) -> Iterator[tuple[str, Counter[str]]]:
    """What a server must hold, by consumer."""
    if not server["resize"]:
        yield server["id"], _size(server["host_id"], server)
        return
    before, now = server["resize"], _size(server["host_id"], server["flavor"])
    was = _size(before["host_id"], before["flavor"])
    yield server["id"], was
    yield server["spare_claim_id"], now if before["moved"] else now - was


def _size(host_id: str | None, size: Row) -> Counter[str]:
    if not host_id:
        return Counter()
    return Counter({f"{host_id} VCPU": size["vcpus"], f"{host_id} MEMORY_MB": size["memory_mib"]})


def guests_are_servers(books: Books, told: Told) -> Iterator[str]:
    """Each guest is its server's, on its server's host alone, on where that is ACTIVE, off where STOPPED."""
    servers, where = (
        books.by_id("servers"),
        Counter(id for host in books.hosts.values() for id in host.running),
    )
    yield from (f"guest {id} is on {n} hosts" for id, n in where.items() if n > 1)
    for host_id, host in books.hosts.items():
        yield from _guests_of(host_id, host, servers)
    for id, server in servers.items():
        if server["host_id"] and server["status"] in ("ACTIVE", "STOPPED") and not where[id]:
            yield f"server {id} is {server['status']} and has no guest"


def _guests_of(host_id: str, host: HostBooks, servers: dict[str, Row]) -> Iterator[str]:
    for id, on in host.running.items():
        server = servers.get(id)
        if server is None or server["host_id"] != host_id:
            yield f"host {host_id} has guest {id}, whose server is {'elsewhere' if server else 'not there'}"
        elif (server["status"] == "ACTIVE") != on and server["status"] in ("ACTIVE", "STOPPED"):
            yield f"server {id} is {server['status']} and its guest is {'on' if on else 'off'}"
    for id in host.specs.keys() ^ host.running.keys():
        lacks = "not in the ledger" if id in host.running else "not defined"
        yield f"guest {id} is {lacks} on host {host_id}"


def volumes_are_files(books: Books, told: Told) -> Iterator[str]:
    """A volume is on its pool's host, and nothing else is there."""
    hosts = {row["id"]: row["host_id"] for row in books.pools}
    wanted = {(hosts[row["pool_id"]], row["id"]) for row in books.volumes if row["pool_id"]}
    there = {(host_id, id) for host_id, host in books.hosts.items() for id in host.volumes}
    yield from (f"volume {id} is not on its host {host_id}" for host_id, id in wanted - there)
    yield from (f"host {host_id} has volume {id}, which is not there" for host_id, id in there - wanted)


def attachments_agree(books: Books, told: Told) -> Iterator[str]:
    """Block, compute, the guest's ledger and the exports say the same of who has which volume."""
    in_block = {(r["id"], r["volume_id"], r["server_id"]) for r in books.attachments}
    in_compute = {
        (volume["attachment_id"], volume["volume_id"], server["id"])
        for server in books.servers
        for volume in server["volumes"]
    }
    in_guests = {
        (volume.attachment_id, volume.volume_id, id)
        for host in books.hosts.values()
        for id, spec in host.specs.items()
        for volume in spec.volumes
    }
    yield from (f"attachment {each} is in block and not in compute" for each in in_block - in_compute)
    yield from (f"attachment {each} is in compute and not in block" for each in in_compute - in_block)
    yield from (f"attachment {each} is with a guest and not in compute" for each in in_guests - in_compute)
    yield from (f"attachment {each} is in compute and not with its guest" for each in in_compute - in_guests)
    statuses = {row["id"]: row["status"] for row in books.volumes}
    for row in books.attachments:
        if (row["status"], statuses[row["volume_id"]]) != ("ATTACHED", "IN_USE"):
            yield f"attachment {row['id']} is {row['status']}, its volume {statuses[row['volume_id']]}"
    idle = {row["id"] for row in books.volumes if row["status"] == "IN_USE"}
    yield from (
        f"volume {id} is IN_USE by nobody" for id in idle - {r["volume_id"] for r in books.attachments}
    )
    yield from _exports(books)


def _exports(books: Books) -> Iterator[str]:
    """A volume is exported where its server is on another host, and nowhere else."""
    pools = {row["id"]: row["host_id"] for row in books.pools}
    at = {row["id"]: pools.get(row["pool_id"], "") for row in books.volumes}
    wanted = {
        (at[row["volume_id"]], row["volume_id"])
        for row in books.attachments
        if at[row["volume_id"]] != row["host_id"]
    }
    there = {(host_id, volume) for host_id, host in books.hosts.items() for volume in host.exports.values()}
    yield from (f"volume {id} is exported by host {host_id} for nobody" for host_id, id in there - wanted)
    yield from (f"volume {id} is not exported by host {host_id}" for host_id, id in wanted - there)


def ports_are_servers(books: Books, told: Told) -> Iterator[str]:
    """A port that says it is a server's is one of that server's, on its host; and the other way round."""
    servers, ports = books.by_id("servers"), books.by_id("ports")
    claimed = {port["port_id"]: server for server in servers.values() for port in server["ports"]}
    for id, port in ports.items():
        if port["device_owner"] == "compute" or port["host_id"]:
            server = claimed.get(id)
            if server is None:
                yield f"port {id} ({port['name']}) is of server {port['device_id']}, which does not have it"
            elif (port["device_id"], port["host_id"]) != (server["id"], server["host_id"]):
                yield f"port {id} is on {port['host_id']} for {port['device_id']}, not as {server['id']} says"
    yield from (
        f"server {s['id']} has port {id}, which is not there" for id, s in claimed.items() if id not in ports
    )


def addresses_have_one_owner(books: Books, told: Told) -> Iterator[str]:
    """No two ports or floating IPs of a network have one address, and no two ports one MAC."""
    used = [(row["network_id"], row["ip_address"], row["port_id"]) for row in books.fixed_ips]
    inside = {row["port_id"] for row in books.fixed_ips}
    used += [(r["network_id"], r["address"], r["id"]) for r in books.floating_ips if r["id"] not in inside]
    owners: dict[tuple[str, str], set[str]] = {}
    for network_id, address, owner in used:
        owners.setdefault((network_id, address), set()).add(owner)
    floating = {(r["network_id"], r["address"]) for r in books.floating_ips}
    for key, who in owners.items():
        # A floating IP's address is kept by a port of its own.
        if len(who) > (2 if key in floating else 1):
            yield f"address {key[1]} of network {key[0]} has {len(who)} owners: {sorted(who)}"
    macs = Counter((port["network_id"], port["mac_address"]) for port in books.ports)
    yield from (f"MAC {mac} of network {net} has {n} owners" for (net, mac), n in macs.items() if n > 1)


def routers_have_a_host(books: Books, told: Told) -> Iterator[str]:
    """A router with a way out is on one host that is there."""
    for router in books.routers:
        if router["gateway_network_id"] and router["host_id"] not in books.hosts:
            yield f"router {router['id']} is on host {router['host_id'] or '(none)'}, which is not there"


def what_a_machine_has_is_owned(books: Books, told: Told) -> Iterator[str]:
    """On a real host each process, link, namespace and file is of something that is there."""
    routers = {names.router_space(r["id"], r["host_id"]) for r in books.routers if r["host_id"]}
    bridges = {names.bridge(network["id"]) for network in books.networks}
    for host_id, host in books.hosts.items():
        if not host.real:
            continue
        taps = {names.tap(port["id"]) for port in books.ports if port["host_id"] == host_id}
        there = {link for link in host.links if link.startswith("tap")}
        yield from (f"tap {tap} is of no port on host {host_id}" for tap in there - taps)
        yield from (f"the port of {tap} has no tap on host {host_id}" for tap in taps - there)
        odd = {link for link in host.links if link.startswith("wb")} - bridges
        yield from (f"bridge {bridge} is of no network" for bridge in odd)
        spaces = {space for space in host.namespaces if space.startswith("weft-r-")}
        yield from (f"namespace {space} is of no router there" for space in spaces - routers)
        yield from _of_files(host_id, host)


def _of_files(host_id: str, host: HostBooks) -> Iterator[str]:
    qemu = sum(process.startswith("qemu-system") for process in host.processes)
    if qemu != sum(host.running.values()):
        yield f"host {host_id} has {qemu} QEMU processes and {sum(host.running.values())} guests that are on"
    daemons = sum(process.startswith("qemu-storage-d") for process in host.processes)
    if daemons != len(host.exports):
        yield f"host {host_id} has {daemons} storage daemons and {len(host.exports)} exports"
    yield from (f"files of guest {id}, which is not there" for id in host.guest_folders - host.specs.keys())
    yield from (f"the file of volume {id}, which is not there" for id in host.volume_files - host.volumes)
    yield from (f"volume {id} has no file" for id in host.volumes - host.volume_files)
    yield from (f"{path} was never finished" for path in host.unfinished_files)


def purged_projects_have_nothing(books: Books, told: Told) -> Iterator[str]:
    """Of a project whose purge succeeded nothing is left."""
    gone = {thing.id: thing for thing in told.of("project") if thing.presence is Presence.GONE and thing.id}
    yield from (f"{gone[id]} was purged and is there" for id in gone.keys() & books.by_id("projects").keys())
    for table in _OF_PROJECTS:
        for row in books.rows[table]:
            if row["project_id"] in gone:
                yield f"{gone[row['project_id']]} was purged and has {table} {row['id']}"


def images_are_contents(books: Books, told: Told) -> Iterator[str]:
    """An ACTIVE image has the content that it was said to have, whole; one that is not there yet has none."""
    rows = books.by_id("images")
    for thing in told.of("image"):
        row = rows.get(thing.id)
        if row and thing.usable and thing.status == "ACTIVE" and thing.sha256 not in ("", row["sha256"]):
            yield f"{thing} should have the content {thing.sha256} and has {row['sha256']}"
    for id, row in rows.items():
        if row["status"] in ("ACTIVE", "DEACTIVATED") and row["sha256"] not in books.contents:
            yield f"image {id} is {row['status']} and its content {row['sha256']} is not there"
        if row["status"] == "QUEUED" and row["sha256"]:
            yield f"image {id} is QUEUED and holds the content {row['sha256']}"
    yield from (f"content {name} is {is_} in truth" for name, is_ in books.contents.items() if name != is_)


def contents_are_images(books: Books, told: Told) -> Iterator[str]:
    """There is no content but of images, and none that nobody writes to the end."""
    wanted = {row["sha256"] for row in books.images}
    yield from (f"content {name} is of no image" for name in books.contents.keys() - wanted)
    yield from (f"content {name} was never finished" for name in books.incoming)


RULES: tuple[Rule, ...] = (
    what_was_told_holds,
    volumes_are_where_told,
    nothing_is_in_between,
    allocations_are_servers,
    guests_are_servers,
    volumes_are_files,
    attachments_agree,
    ports_are_servers,
    addresses_have_one_owner,
    routers_have_a_host,
    what_a_machine_has_is_owned,
    purged_projects_have_nothing,
    images_are_contents,
)
# What only upkeep mends that comes round seldom is looked at when a run ends.
LAST_RULES = (*RULES, contents_are_images)


def broken(books: Books, told: Told, among: tuple[Rule, ...] = LAST_RULES) -> list[str]:
    """Every sentence of every rule among these."""
    return [f"{rule.__name__}: {sentence}" for rule in among for sentence in rule(books, told)]
