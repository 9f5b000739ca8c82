"""A guest as a person reaches it: SSH to its floating IP, from outside of the cloud."""

import asyncio
import time
from pathlib import Path

from cli.cloud import spaces
from cli.demo.stage import Failed

# A guest without hardware virtualization takes ten seconds or so until it takes logins.
_PATIENCE = 120.0
_LONGEST = 60.0
_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=5",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=2",
    # A guest's host key is new with each guest, and two guests answer at one address here.
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
)


class Guest:
    """A server at `address`, with the private key that `user` was told of."""

    def __init__(self, space: str, address: str, key: Path, user: str = "root") -> None:
        self.address, self.login = address, f"{user}@{address}"
        options = [word for option in _OPTIONS for word in ("-o", option)]
        self._command = [*spaces.enter(space), "ssh", "-i", str(key), *options, self.login]

    @property
    def ssh(self) -> str:
        """The command line that logs in."""
        return " ".join(self._command)

    async def run(self, script: str) -> str:
        """What a script prints in the guest. Raises Failed when it, or the login, does not work."""
        status, out, err = await run([*self._command, script])
        if status:
            raise Failed(f"ssh {self.login}: {script!r} ended with {status}: {err.strip()}")
        return out.strip()

    async def reachable(self, name: str, within: float = _PATIENCE) -> None:
        """Wait until it takes a login with our key, and is the server of that name; raises Failed."""
        until = time.monotonic() + within
        while True:
            status, out, err = await run([*self._command, "hostname"])
            if not status and out.strip() == name:
                return
            if time.monotonic() > until:
                said = err.strip() or f"it is {out.strip()}"
                raise Failed(f"{name} is not at {self.login} after {within:g} s: {said}")
            await asyncio.sleep(0.5)


async def run(words: list[str]) -> tuple[int, str, str]:
    """Exit status, output and errors of a command, which is ended when it takes longer than a minute."""
    quiet, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*words, stdin=quiet, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_LONGEST):
            out, err = await child.communicate()
    except TimeoutError:
        return 124, "", f"no end within {_LONGEST:g} s"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


async def make_key(file: Path) -> str:
    """A new key pair; the public key's line."""
    status, _, err = await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(file)])
    if status:
        raise Failed(f"ssh-keygen: {err.strip()}")
    return (await asyncio.to_thread(file.with_suffix(".pub").read_text)).strip()
