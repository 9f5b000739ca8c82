"""MAC addresses of ports."""

import random

from mesh.errors import invalid

# Locally administered and unicast (bits 1 and 0 of the first byte), then `wf`.
_PREFIX = "02:77:66"


def new() -> str:
    """A random one; whether the network has it already, the database says."""
    tail = random.getrandbits(24).to_bytes(3, "big")
    return f"{_PREFIX}:{tail[0]:02x}:{tail[1]:02x}:{tail[2]:02x}"


def check(mac: str) -> str:
    """A MAC that a port may have. INVALID_ARGUMENT for a group address or none at all."""
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise invalid("mac_address", f"{mac} is not the address of one device")
    return mac
