"""Network namespaces by name, as `ip netns` keeps them, without starting a process.

A namespace belongs to a thread: what a thread opens inside stays inside wherever it is used later.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIRECTORY = Path("/run/netns")
_OWN = "/proc/thread-self/ns/net"
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source: str, target: Path, flags: int) -> None:
    result = _libc.mount(source.encode(), str(target).encode(), b"none", ctypes.c_ulong(flags), None)
    _check(result, f"mount {target}")


def names() -> list[str]:
    """All names of namespaces on the machine, whoever made them."""
    return sorted(path.name for path in DIRECTORY.iterdir()) if DIRECTORY.exists() else []


def identity(name: str) -> int | None:
    """A number that no other living namespace has; None when there is none behind the name."""
    try:
        found = (DIRECTORY / name).stat()
    except FileNotFoundError:
        return None
    return found.st_ino if found.st_dev == os.stat(_OWN).st_dev else None


def create(name: str) -> None:
    """Make a namespace. A name left without one by a death half-way is taken over."""
    _prepare()
    path = DIRECTORY / name
    path.touch(mode=0o444)
    failure: list[OSError] = []

    def unshare_and_bind() -> None:
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            _mount(_OWN, path, _MS_BIND)
        except OSError as error:
            failure.append(error)

    # The thread ends with it, so no other work finds itself in the new namespace.
    thread = threading.Thread(target=unshare_and_bind)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def _prepare() -> None:
    """Let names reach other mount namespaces, as iproute2 does."""
    DIRECTORY.mkdir(exist_ok=True)
    try:
        _mount("", DIRECTORY, _MS_SHARED | _MS_REC)
    except OSError:
        _mount(str(DIRECTORY), DIRECTORY, _MS_BIND | _MS_REC)
        _mount("", DIRECTORY, _MS_SHARED | _MS_REC)


def remove(name: str) -> None:
    """Forget a name; the namespace goes when nothing uses it. None of that name is fine."""
    path = DIRECTORY / name
    if identity(name) is not None:
        _check(_libc.umount2(str(path).encode(), _MNT_DETACH), f"umount {path}")
    path.unlink(missing_ok=True)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run a block of the calling thread in a namespace. Raises OSError where there is none."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        _enter(DIRECTORY / name)
        try:
            yield
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "setns back")
    finally:
        os.close(home)


def _enter(path: Path) -> None:
    there = os.open(path, os.O_RDONLY)
    try:
        _check(_libc.setns(there, _CLONE_NEWNET), f"setns {path}")
    finally:
        os.close(there)
