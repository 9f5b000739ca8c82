"""Persistent taps, which outlive this process and which a hypervisor opens by name."""

import fcntl
import os
import struct

_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER = 0x400454CA, 0x400454CB, 0x400454CC
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
FLAGS = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR


def open_tap(name: str) -> int:
    """A file descriptor of a tap in the calling thread's namespace; made when there is none of that name."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), FLAGS))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def persist(descriptor: int) -> None:
    """Let the tap stay when nobody has it open. Until then the kernel removes it with its descriptor."""
    fcntl.ioctl(descriptor, _TUNSETOWNER, 0)
    fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
