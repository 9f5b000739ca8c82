"""The demo's whole job with openstacksdk, run by the judge's own Python: `sdk_story.py begin|end IMAGE KEY`.

Prints a JSON document of what a person would look at.
"""

import json
import sys
from pathlib import Path

import openstack


def begin(cloud, image_file: str, key: str) -> dict:
    image = cloud.create_image("tiny", filename=image_file, disk_format="qcow2", wait=True)
    network = cloud.network.create_network(name="net")
    subnet = cloud.network.create_subnet(
        network_id=network.id, cidr="10.8.0.0/24", ip_version=4, name="net-v4"
    )
    outside = cloud.network.find_network("outside", ignore_missing=False)
    router = cloud.network.create_router(name="way", external_gateway_info={"network_id": outside.id})
    cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
    group = cloud.network.create_security_group(name="ssh")
    cloud.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    cloud.compute.create_keypair(name="mine", public_key=Path(f"{key}.pub").read_text())
    server = cloud.create_server(
        "first", image=image, flavor="tiny", network=network.id, key_name="mine", security_groups=["ssh"],
        auto_ip=False, wait=True, timeout=180,
    )  # fmt: skip
    volume = cloud.create_volume(1, name="disk", wait=True)
    cloud.attach_volume(server, volume, wait=True)
    (port,) = list(cloud.network.ports(device_id=server.id))
    floating = cloud.network.create_ip(floating_network_id=outside.id, port_id=port.id)
    shown = cloud.compute.get_server(server.id)
    return {
        "status": shown.status,
        "address": floating.floating_ip_address,
        "addresses": shown.addresses,
        "volumes": [each.volume_id for each in cloud.compute.volume_attachments(server)],
        "volume": volume.id,
    }


def end(cloud) -> dict:
    server = cloud.compute.find_server("first", ignore_missing=False)
    cloud.compute.stop_server(server)
    cloud.compute.wait_for_server(server, "SHUTOFF", wait=120)
    cloud.compute.start_server(server)
    cloud.compute.wait_for_server(server, "ACTIVE", wait=120)
    cloud.compute.set_server_metadata(server, of="us")
    volume = cloud.get_volume("disk")
    cloud.detach_volume(server, volume, wait=True)
    snapshot = cloud.create_volume_snapshot(volume.id, wait=True, name="then")
    cloud.delete_volume_snapshot(snapshot.id, wait=True)
    metadata = cloud.compute.get_server(server.id).metadata
    cloud.delete_server("first", wait=True, delete_ips=True)
    cloud.delete_volume("disk", wait=True)
    router, subnet = cloud.network.find_router("way"), cloud.network.find_subnet("net-v4")
    cloud.network.remove_interface_from_router(router, subnet_id=subnet.id)
    cloud.network.delete_router(router)
    cloud.network.delete_network(cloud.network.find_network("net"))
    cloud.network.delete_security_group(cloud.network.find_security_group("ssh"))
    cloud.compute.delete_keypair("mine")
    cloud.delete_image("tiny", wait=True)
    return {"metadata": metadata, "left": [each.name for each in cloud.list_servers()]}


if __name__ == "__main__":
    openstack.enable_logging(debug=False)
    connected = openstack.connect()
    found = begin(connected, *sys.argv[2:]) if sys.argv[1] == "begin" else end(connected)
    print(json.dumps(found))
