"""What cloud-init makes of what a guest is told; run by Debian's Python with Debian's cloud-init on its path.

    cloud_init_reads.py openstack|ec2|drive WHERE FOLDER

WHERE is the metadata service's address or the folder that a config drive was unpacked to. The network
configuration is rendered into FOLDER as Debian reads it. Prints a JSON document.
"""

import json
import logging
import sys

from cloudinit import helpers
from cloudinit.net import eni, network_state
from cloudinit.sources import DataSourceConfigDrive, DataSourceEc2, DataSourceOpenStack
from cloudinit.sources.helpers import openstack


def settings(where):
    """cloud-init's own settings, with another address of the metadata service."""
    there = {"metadata_urls": [where], "max_wait": 10, "timeout": 5}
    return {"datasource_list": ["OpenStack", "Ec2"], "datasource": {"OpenStack": there, "Ec2": there}}


def source(kind, where):
    paths = helpers.Paths({"cloud_dir": "/nonexistent", "run_dir": "/nonexistent"})
    return kind(settings(where), None, paths)


def openstack_service(where):
    found = source(DataSourceOpenStack.DataSourceOpenStack, where)
    return found, found._crawl_metadata()


def ec2_service(where):
    found = source(DataSourceEc2.DataSourceEc2, where)
    crawled = found.crawl_metadata()
    return found, {"metadata": crawled["meta-data"], "userdata": crawled["user-data"]}


def drive(where):
    read = DataSourceConfigDrive.read_config_drive(where)
    return source(DataSourceConfigDrive.DataSourceConfigDrive, where), read


READERS = {"openstack": openstack_service, "ec2": ec2_service, "drive": drive}


def rendered(network_data, folder):
    """The network configuration as Debian reads it: written below a folder, and as text."""
    macs = {link["ethernet_mac_address"]: f"eth{n}" for n, link in enumerate(network_data["links"])}
    config = openstack.convert_net_json(network_data, known_macs=macs)
    state = network_state.parse_net_config_data(config)
    eni.Renderer({"eni_path": "interfaces", "netrules_path": None}).render_network_state(
        network_state=state, target=folder
    )
    with open(f"{folder}/interfaces") as file:
        return file.read()


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    read_by, found = READERS[sys.argv[1]](sys.argv[2])
    told = {name: found.get(name) for name in ("metadata", "userdata", "vendordata", "version")}
    read_by.metadata, read_by.version = told["metadata"], told["version"]
    told["keys"] = read_by.get_public_ssh_keys()
    if "networkdata" in found:
        told["interfaces"] = rendered(found["networkdata"], sys.argv[3])
    print(json.dumps(told, default=text))
