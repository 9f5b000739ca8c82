"""Tells everyone on a link who has an address now (gratuitous ARP, RFC 5227 section 2.3)."""

import socket
import struct
from ipaddress import ip_address

_ARP = 0x0806
_EVERYONE = b"\xff" * 6


def frame(mac: str, address: str) -> bytes:
    """The announcement as an Ethernet frame."""
    sender = bytes.fromhex(mac.replace(":", ""))
    ip = ip_address(address).packed
    header = _EVERYONE + sender + struct.pack("!H", _ARP)
    return header + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + sender + ip + bytes(6) + ip


def send(link: str, mac: str, address: str) -> None:
    """Announce an IPv4 address on a link of the calling thread's namespace; IPv6 hosts ask by themselves."""
    if ":" in address:
        return
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.bind((link, 0))
        raw.send(frame(mac, address))
