"""`python -m node`: the host agent."""

from pathlib import Path

from mesh import joining, process, server
from mesh.holder import Holder
from mesh.server import Part
from mesh.settings import ServiceSettings, Settings, SettingsError
from node import inventory
from node.host import build
from node.ledger import MIGRATIONS, TABLES

# Linux takes 107 characters for a unix socket; libvirt's own part of it is the longest.
LONGEST_STATE = 107 - len("/libvirt/sock/libvirt-admin-sock")


def part(settings: Settings) -> Part:
    """The agent as a part of a process, under its host's own name. Raises NotJoined."""
    node = settings.node
    state = Path(node.state)
    if len(str(state.absolute())) > LONGEST_STATE:
        raise SettingsError(
            f"node.state: expected a path of at most {LONGEST_STATE} characters, for unix sockets"
        )
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)  # it holds what users told their guests
    service = ServiceSettings(
        "node", node.address, tuple(node.listen) or (node.address,), f"sqlite:///{state}/ledger.db"
    )
    holder = Holder(joining.directory(state), inventory.host_id(node))
    return Part("node", build, TABLES, MIGRATIONS, service=service, leaf=holder)


async def serve(settings: Settings) -> None:
    """Join the cloud where that was not done before and the settings name a token; be a host from then on."""
    state, file = Path(settings.node.state), settings.node.join_token_file
    if file and not joining.joined(state):
        await joining.join(state, joining.read_token(Path(file)))
    await server.serve_parts(settings, [part(settings)])


def main() -> None:
    """Run until told to stop; guests run on."""
    process.run(serve)


if __name__ == "__main__":
    main()
