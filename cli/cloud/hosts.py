"""The hosts of a one-machine cloud join it as any host does: with a token, through the gateway."""

from pathlib import Path

from cli.cloud import health
from cli.cloud.layout import Layout
from mesh import ids, joining
from weft.identity.v1.join_service_pb2 import CreateJoinTokenRequest
from weft.identity.v1.join_service_pb2_grpc import JoinTokenServiceStub


def strangers(layout: Layout) -> list[str]:
    """Names of the hosts that have no certificate that holds, or one of another cloud."""
    return [name for name in layout.names if not _belongs(layout, layout.state / name)]


async def join(layout: Layout, names: list[str]) -> None:
    """Have these hosts join, as the administrator; those that were hosts before keep their ids."""
    async with await health.administrator(layout) as client:
        for name in names:
            state = layout.state / name
            request = CreateJoinTokenRequest(
                name=name, host_id=joining.host_of(state), address=layout.endpoint, request_id=ids.new()
            )
            made = await client.stub(JoinTokenServiceStub).CreateJoinToken(request)
            state.mkdir(exist_ok=True, mode=0o700)
            await joining.join(state, joining.JoinToken.read(made.text))


def _belongs(layout: Layout, state: Path) -> bool:
    holder = joining.joined(state)
    return holder is not None and holder.ca_pem == layout.ca.read_bytes()
