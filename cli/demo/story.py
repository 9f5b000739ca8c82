"""The story, in the order that it is told."""

from pathlib import Path

from cli.cloud.layout import Layout
from cli.demo import by_grpc, by_rest, cleanup, leftovers, people, proofs, tracing
from cli.demo.by_rest import FIRST, SECOND
from cli.demo.cast import Cast
from cli.demo.rest import Rest
from cli.demo.stage import Stage
from mesh.channel import connect


async def tell(layout: Layout, stage: Stage, image: Path, *, keep: bool) -> None:
    """From a fresh cloud to proofs, and, unless `keep`, to a cloud with nothing in it. Raises Failed."""
    rest = Rest(layout.endpoint, layout.ca)
    try:
        async with connect(layout.endpoint, layout.ca) as client:
            cast = Cast(layout, stage, image, rest, client, key_file=layout.state / "demo-key")
            await _build(cast)
            await _prove(cast)
            await _look_back(cast)
            if keep:
                _what_next(cast)
            else:
                await _leave_nothing(cast)
    finally:
        await rest.close()


async def _build(cast: Cast) -> None:
    cast.stage.chapter("An administrator lets somebody in (gRPC)")
    await people.arrive(cast)
    cast.stage.chapter("An ordinary user makes what a server needs (REST, and a volume by gRPC)")
    await by_rest.login(cast)
    await by_rest.image(cast)
    await by_rest.network(cast)
    await by_rest.rules(cast)
    await by_rest.key(cast)
    await by_grpc.volume(cast)
    cast.stage.chapter("A server boots (REST), and is reached from outside (gRPC)")
    await by_rest.first_server(cast)
    await by_grpc.floating_ip(cast)
    await by_grpc.console_until_ready(cast, FIRST)


async def _prove(cast: Cast) -> None:
    cast.stage.chapter("Proofs from inside of it, over SSH through the floating IP")
    await proofs.first(cast)
    await proofs.closed(cast)
    cast.stage.chapter("The volume moves to a second server, and the floating IP with it (gRPC)")
    address = await by_grpc.second_server(cast)
    await by_grpc.console_until_ready(cast, SECOND)
    await by_grpc.move_volume(cast)
    await by_grpc.move_floating_ip(cast)
    await proofs.second(cast, address)


async def _look_back(cast: Cast) -> None:
    cast.stage.chapter(f"The last lines of {FIRST}'s console (gRPC)")
    for line in await by_grpc.console_end(cast, FIRST, 6):
        cast.stage.say(f"| {line}")
    cast.stage.chapter("The boot as one trace: weft trace show " + cast.boot_operation)
    await tracing.boot(cast)


async def _leave_nothing(cast: Cast) -> None:
    cast.stage.chapter("Everything is deleted (half by REST, half by gRPC)")
    await cleanup.delete(cast)
    await cleanup.nothing_listed(cast)
    await leftovers.nothing_left(cast)
    await people.leave(cast)


def _what_next(cast: Cast) -> None:
    layout = cast.layout
    cast.stage.chapter("The cloud goes on. What to try next")
    for line in (
        f"export WEFT_ENDPOINT={layout.endpoint} WEFT_CA={layout.ca} WEFT_PASSWORD={cast.password}",
        f"weft login --user {cast.user}",
        "weft server list; weft server show first; weft trace show first",
        proofs.guest(cast).ssh,
        f"curl --cacert {layout.ca} https://{layout.endpoint}/openapi.json; a browser: /ui/ and /docs",
        f"weft status --state {layout.state}",
        f"weft down --state {layout.state} --purge",
    ):
        cast.stage.say(line)
