"""What is proved from inside of the guests, over SSH through the floating IP."""

from cli.cloud import spaces
from cli.cloud.layout import OUTSIDE
from cli.demo import by_grpc
from cli.demo.by_rest import FIRST, SECOND
from cli.demo.cast import Cast
from cli.demo.guest import Guest, run

_ADDRESS = "ip -4 -o addr show dev eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p'"


def guest(cast: Cast) -> Guest:
    """Whichever server the floating IP leads to."""
    return Guest(cast.layout.space("outside"), cast.floating_address, cast.key_file)


async def first(cast: Cast) -> None:
    """Address, name, key, user data, the way out, and a file on the volume."""
    inside = guest(cast)
    with cast.stage.step(f"SSH from outside to {inside.address}, with the key that metadata gave it"):
        await inside.reachable(FIRST)
    prove = cast.stage.proof
    prove("its address is what DHCP was to give it", await inside.run(_ADDRESS), cast.first_address)
    prove("its hostname is what metadata says", await inside.run("hostname"), FIRST)
    public = " ".join(cast.key_file.with_suffix(".pub").read_text().split()[:2])
    keys = await inside.run("cat ~/.ssh/authorized_keys")
    prove("it takes our key and no other", keys == public, True)
    prove("its user data was run", await inside.run("cat ~/user-data-was-run"), cast.nonce)
    pinged = await inside.run(f"ping -c 1 -W 5 {OUTSIDE}.1")
    prove("it reaches the outside through its router", "1 packets received" in pinged, True)
    await _write(cast, inside)


async def _write(cast: Cast, inside: Guest) -> None:
    device = await by_grpc.device(cast, FIRST)
    name = device.rpartition("/")[2]
    size = int(await inside.run(f"cat /sys/block/{name}/size")) * 512
    cast.stage.proof(f"the volume is its disk {device}, of so many bytes", size, by_grpc.VOLUME_GIB << 30)
    with cast.stage.step(f"a file system is made on {device}, and a file written to it"):
        await inside.run(
            f"mkfs.ext4 -q {device} && mkdir -p /mnt/v && mount {device} /mnt/v && "
            f"echo {cast.nonce} >/mnt/v/proof && sync && umount /mnt/v"
        )


async def second(cast: Cast, address: str) -> None:
    """The second server has the same volume with the same file in it."""
    inside = guest(cast)
    with cast.stage.step(f"SSH from outside to {inside.address}, which is the second server now"):
        await inside.reachable(SECOND)
    cast.stage.proof("its hostname is what metadata says", await inside.run("hostname"), SECOND)
    cast.stage.proof("its address is what DHCP was to give it", await inside.run(_ADDRESS), address)
    device = await by_grpc.device(cast, SECOND)
    found = await inside.run(f"mkdir -p /mnt/v && mount {device} /mnt/v && cat /mnt/v/proof && umount /mnt/v")
    cast.stage.proof("the file on the volume came along", found, cast.nonce)


async def closed(cast: Cast) -> None:
    """What no rule allows does not get through, while what one allows does."""
    enter = guest(cast)
    status, _, _ = await run([*_from_outside(cast), *_connect(enter.address, 22)])
    cast.stage.proof("port 22 of the server, which a rule allows, answers", status == 0, True)
    status, _, _ = await run([*_from_outside(cast), *_connect(enter.address, 23)])
    cast.stage.proof("port 23, which none allows, gives no answer at all", status == 124, True)


def _from_outside(cast: Cast) -> list[str]:
    return spaces.enter(cast.layout.space("outside"))


def _connect(address: str, port: int) -> list[str]:
    """`timeout` ends with 124 when nothing answers at all; a refusal would be 1."""
    return ["timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
