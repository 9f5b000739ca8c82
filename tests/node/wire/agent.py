"""Runs the network half of a host agent alone: what a test or a person at a desk starts in a namespace.

    nsenter --net=/run/netns/<host> python tests/node/wire/agent.py --host <id> --state <directory> \
        --network unix:<socket> [--vtep <address>] [--guests <file.json>] [--give-up]

The guests' file maps a port's id to what its guest is told: name, user_data.
"""

import argparse
import asyncio
import json
import logging
import signal
from pathlib import Path

import uvloop

from mesh.certificates import Authority, Identity
from mesh.channel import Peers
from mesh.settings import load
from node.wire import Wire
from weft.node.v1.resources_pb2 import GuestMetadata, GuestPort, GuestSpec


class GuestsFile:
    """Guests as a file tells them, read when asked."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def metadata(self, port_id: str) -> tuple[GuestSpec, GuestPort] | None:
        """The guest of a port, if the file has it."""
        told = json.loads(self._path.read_text()) if self._path and self._path.exists() else {}
        if port_id not in told:
            return None
        about = told[port_id]
        metadata = GuestMetadata(
            hostname=about["name"], name=about["name"], user_data=about.get("user_data", "").encode()
        )
        port = GuestPort(port_id=port_id)
        return GuestSpec(server_id=port_id, ports=[port], metadata=metadata), port


async def main(arguments: argparse.Namespace) -> None:
    """Run until told to end."""
    environ = {
        "WEFT_CLOUD__STATE": str(arguments.state),
        "WEFT_NODE__VTEP_ADDRESS": arguments.vtep,
        "WEFT_SERVICES__NETWORK__ADDRESS": arguments.network,
        "WEFT_NODE__STATE": str(arguments.state / f"node-{arguments.host}"),
    }
    settings = load(environ=environ)
    leaf = Authority.open_or_create(settings.state / "pki").issue(Identity.node(arguments.host))
    peers = Peers(settings, leaf)
    wire = Wire(settings.node, peers, arguments.host, GuestsFile(arguments.guests))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await wire.start()
    await ended.wait()
    await wire.stop()
    if arguments.give_up:
        await wire.remove()
    await peers.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--vtep", default="")
    parser.add_argument("--guests", type=Path)
    parser.add_argument("--give-up", action="store_true", help="take everything away at the end")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.run(main(parser.parse_args()))
