"""What the story does by REST: image, network, rules, key, and the first server."""

import base64
import secrets

from cli.cloud.furnish import EXTERNAL
from cli.demo.cast import Cast
from cli.demo.guest import make_key
from cli.demo.stage import Failed

CIDR = "10.7.0.0/24"
FLAVOR = "tiny"
FIRST, SECOND = "first", "second"


async def login(cast: Cast) -> None:
    """A token from name and password; the gRPC half uses the same one."""
    with cast.stage.step(f"{cast.user} logs in: POST /identity/v1/tokens"):
        cast.grpc.token = await cast.rest.login(cast.user, cast.password)


async def image(cast: Cast) -> None:
    """An image's record, then its bytes by a plain PUT."""
    said = {"name": "weft-tiny", "disk_format": "DISK_FORMAT_QCOW2"}
    with cast.stage.step("an image: POST /image/v1/images"):
        cast.ids["image"] = (await cast.rest.post("/image/v1/images", said))["id"]
    size = cast.image_file.stat().st_size
    with cast.stage.step(f"its content, {size / 1e6:.1f} MB: PUT /image/v1/images/.../file"):
        stored = await cast.rest.upload(f"/image/v1/images/{cast.ids['image']}/file", cast.image_file)
    cast.stage.proof("the image is", stored["status"], "IMAGE_STATUS_ACTIVE")


async def network(cast: Cast) -> None:
    """A network with a subnet, and a router with a way out."""
    rest, ids = cast.rest, cast.ids
    with cast.stage.step("a network and a subnet: POST /network/v1/networks, /subnets"):
        ids["network"] = (await rest.post("/network/v1/networks", {"name": "demo"}))["id"]
        said = {"network_id": ids["network"], "name": "demo-v4", "cidr": CIDR}
        ids["subnet"] = (await rest.post("/network/v1/subnets", said))["id"]
    found = (await rest.get(f"/network/v1/networks?name={EXTERNAL}"))["networks"]
    if not found:
        raise Failed(f"there is no external network {EXTERNAL} that the project sees")
    ids["external"] = found[0]["id"]
    with cast.stage.step("a router, out by the external network: POST /network/v1/routers"):
        wanted = {"name": "demo", "gateway": {"network_id": ids["external"]}}
        ids["router"] = (await rest.post("/network/v1/routers", wanted))["id"]
        await rest.post(f"/network/v1/routers/{ids['router']}:addInterface", {"subnet_id": ids["subnet"]})


async def rules(cast: Cast) -> None:
    """A security group that lets in SSH and ping, and nothing else."""
    with cast.stage.step("a security group for SSH and ping: POST /network/v1/securityGroups"):
        group = (await cast.rest.post("/network/v1/securityGroups", {"name": "ssh-and-ping"}))["id"]
        ssh = {"protocol": "tcp", "port_min": 22, "port_max": 22}
        for said in (ssh, {"protocol": "icmp"}):
            rule = {"security_group_id": group, "direction": "DIRECTION_INGRESS", **said}
            await cast.rest.post("/network/v1/securityGroupRules", rule)
    cast.ids["group"] = group


async def key(cast: Cast) -> None:
    """A key pair made here; the cloud is told of the public half."""
    with cast.stage.step("a key pair: POST /compute/v1/keyPairs"):
        public = await make_key(cast.key_file)
        await cast.rest.post("/compute/v1/keyPairs", {"name": "demo", "public_key": public})


async def first_server(cast: Cast) -> None:
    """The server with the volume: asked for by one POST, followed by a stream of JSON lines."""
    cast.nonce = secrets.token_hex(8)
    script = f"#!/bin/sh\necho {cast.nonce} >~/user-data-was-run\n"
    said = await _description(cast, FIRST) | {
        "volumes": [{"volume_id": cast.ids["volume"]}],
        "user_data": base64.b64encode(script.encode()).decode(),
    }
    with cast.stage.step(f"the server {FIRST} with the volume: POST /compute/v1/servers"):
        server = await cast.rest.post("/compute/v1/servers", said)
    cast.ids[FIRST] = server["id"]
    cast.boot_operation = server["operation_id"]
    with cast.stage.step(f"its boot: GET /compute/v1/operations/{cast.boot_operation}:watch"):
        await cast.rest.follow(f"/compute/v1/operations/{cast.boot_operation}:watch", cast.stage)
    server = await cast.rest.get(f"/compute/v1/servers/{server['id']}")
    cast.stage.proof("the server is", server["status"], "SERVER_STATUS_ACTIVE")
    cast.first_address = server["ports"][0]["fixed_ips"][0]
    cast.ids["first port"] = server["ports"][0]["port_id"]


async def _description(cast: Cast, name: str) -> dict[str, object]:
    flavors = (await cast.rest.get(f"/compute/v1/flavors?name={FLAVOR}"))["flavors"]
    if not flavors:
        raise Failed(f"there is no flavor {FLAVOR} that the project sees")
    cast.ids["flavor"] = flavors[0]["id"]
    return {
        "name": name,
        "flavor_id": flavors[0]["id"],
        "image_id": cast.ids["image"],
        "networks": [{"network_id": cast.ids["network"]}],
        "security_groups": ["ssh-and-ping"],
        "key_name": "demo",
    }
