"""`weft up`: a cloud on this machine, from nothing to healthy."""

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from cli import failures
from cli.cloud import spaces
from cli.cloud.layout import DEFAULT_PORT, DEFAULT_STATE, Layout
from cli.cloud.processes import Process, parts
from mesh.settings import SettingsError, load

# Seconds within which all must be well: a host's first probe of its hypervisor takes the longest.
PATIENCE = 180.0


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE,
    show_default=True,
    help="The directory of all that the cloud keeps.",
)
@click.option("--hosts", type=click.IntRange(1, 16), default=1, show_default=True, help="Hosts to play.")
@click.option(
    "--hypervisor",
    type=click.Choice(["auto", "kvm", "tcg", "simulated"]),
    default="auto",
    show_default=True,
    help="What runs guests; auto is KVM where that truly works, else TCG.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65526),
    default=DEFAULT_PORT,
    show_default=True,
    help="The gateway's port on 127.0.0.1; its pages are 8 above, Envoy's admin page 9 above.",
)
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Any other setting, for all processes; can be given again.",
)
@click.option("--detach", is_flag=True, help="Return once it is up; `weft down` stops it.")
def up(state: Path, hosts: int, hypervisor: str, port: int, more: tuple[str, ...], detach: bool) -> None:
    """Start a cloud on this machine, and say how to use it.

    Every service, the gateway and the hosts' agents, each host in a network namespace of its own. Nothing of
    this machine's own network is touched: floating IPs are reached from the namespace `outside` alone. Run
    again it starts what is not running. Guests of an earlier run go on.
    """
    layout = Layout(state.absolute(), hosts, hypervisor, port, more)
    begin = time.monotonic()
    start(layout, say=lambda line: click.echo(line, err=True))
    click.echo(f"up in {time.monotonic() - begin:.1f} s", err=True)
    click.echo(_directions(layout))
    if not detach:
        _stay(layout)


def start(layout: Layout, say: Callable[[str], None]) -> None:
    """Bring the cloud up; returns when all is well. Ends the program with a sentence when it cannot be."""
    _refuse(layout)
    from cli.cloud import hosts

    layout.write()
    spaces.make(layout)
    late = hosts.strangers(layout)
    for part in parts(layout):
        if part.pid is None and part.name not in late:
            part.start()
    asyncio.run(_well(layout, late, say))


def _refuse(layout: Layout) -> None:
    """What cannot work is said before anything is begun."""
    if os.geteuid() != 0:
        failures.fail("hosts make network namespaces, taps and guests: run `weft up` as root")
    if missing := [name for name in ("ip", "nsenter", "nft") if not shutil.which(name)]:
        failures.fail(f"{', '.join(missing)} not found: `weft doctor` says which packages are missing")
    if not layout.fits():
        failures.fail(f"{layout.state}: the path is too long for unix sockets; give a shorter --state")
    try:
        load(None, layout.environment)
    except SettingsError as error:
        failures.fail(f"--set: {error}")
    known = Layout.read(layout.state)
    running = [part for part in parts(known or layout) if part.pid is not None]
    if running and known != layout:
        failures.fail(f"it runs with other options: `weft down --state {layout.state}` first")
    if "gateway" not in {part.name for part in running}:
        for port in layout.ports:
            if port_taken(port):
                failures.fail(
                    f"port {port} of 127.0.0.1 is in use: give another --port, or stop what uses it"
                )


def port_taken(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


async def _well(layout: Layout, late: list[str], say: Callable[[str], None]) -> None:
    """Wait for each part; have the hosts in `late` join and begin; furnish the cloud when that can be."""
    from cli.cloud import furnish, health, hosts

    begin = time.monotonic()
    said: set[str] = set()

    async def until(ask: Callable[[Layout], Awaitable[list[health.Health]]]) -> None:
        while waiting := await _ask(ask):
            if ended := health.dead(layout, unless=late):
                _give_up(layout, f"{ended.name} ended:", ended)
            if time.monotonic() - begin > PATIENCE:
                first = waiting[0]
                _give_up(
                    layout, f"{first.name} is not well after {PATIENCE:g} s: {first.why}", *parts(layout)
                )
            await asyncio.sleep(0.1)

    async def _ask(ask: Callable[[Layout], Awaitable[list[health.Health]]]) -> list[health.Health]:
        answers = await ask(layout)
        for answer in answers:
            if not answer.why and answer.name not in said:
                said.add(answer.name)
                say(f"  {click.style('✓', fg='green')} {answer.name:<10} {time.monotonic() - begin:6.2f} s")
        return [answer for answer in answers if answer.why]

    await until(health.services)
    await until(_listed(health.gateway))
    if late:
        await hosts.join(layout, late)
        for part in (part for part in parts(layout) if part.name in late):
            part.start()
        late.clear()
    await until(health.hosts)
    await furnish.furnish(layout)


def _listed(ask: Callable[[Layout], Awaitable[Any]]) -> Callable[[Layout], Awaitable[list[Any]]]:
    async def several(layout: Layout) -> list[Any]:
        return [await ask(layout)]

    return several


def _give_up(layout: Layout, sentence: str, *about: Process) -> None:
    said = "\n".join(f"--- {part.log}\n{part.last_words()}" for part in about)
    for part in reversed(parts(layout)):
        part.stop()
    failures.fail(f"{sentence}\n{said}")


def _directions(layout: Layout) -> str:
    weft = "weft" if layout.endpoint == "127.0.0.1:7800" else f"weft --endpoint {layout.endpoint}"
    state = "" if layout.state == DEFAULT_STATE else f" --state {layout.state}"
    return f"""
  endpoint   https://{layout.endpoint}   (gRPC, gRPC-Web, REST; /ui/ and /docs in a browser)
  CA         {layout.ca}
  password   {layout.admin_password}   (of the administrator `admin`)
  outside    {" ".join(spaces.enter(layout.space("outside")))} ...   (from there floating IPs are reached)

What next:
  {weft} --ca {layout.ca} --project admin login --user admin --password-file {layout.admin_password}
  weft image upload .cache/guest/weft-tiny.qcow2 --name weft-tiny
  weft network create net && weft subnet create net-v4 --network net --cidr 10.0.0.0/24
  weft server create first --flavor tiny --image weft-tiny --network net --wait
  weft server console first
  weft trace show first
  weft status{state}; weft down{state} [--purge]
"""


def _stay(layout: Layout) -> None:
    """Until told to stop, or until a part ends by itself."""
    from cli.cloud import health

    told = [False]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.__setitem__(0, True))
    ended = None
    while not told[0] and ended is None:
        time.sleep(0.5)
        ended = health.dead(layout)
    if ended is not None and not told[0]:
        _give_up(layout, f"{ended.name} ended:", ended)
    click.echo("stopping; guests go on until `weft down --purge`", err=True)
    for part in reversed(parts(layout)):
        part.stop()
