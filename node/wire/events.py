"""Hears from the kernel which links changed, so that drift is found when it happens."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

_GROUP_LINK = 1  # RTMGRP_LINK
_HEADER = struct.Struct("=IHHII")
_LINK_MESSAGES = (16, 17)  # RTM_NEWLINK, RTM_DELLINK
_LINK_BODY, _ATTRIBUTE, _IFNAME = 16, struct.Struct("=HH"), 3


class LinkEvents:
    """Calls `heard` on the loop with the name of each link of this namespace that comes, goes or changes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Callable[[str], None]) -> None:
        self._loop = loop
        self._heard = heard
        self._netlink = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._netlink.bind((0, _GROUP_LINK))
        loop.add_reader(self._netlink, self._read)

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._netlink)
        self._netlink.close()

    def _read(self) -> None:
        while True:
            try:
                data = self._netlink.recv(65_536)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: some were lost, so any link may have changed
                self._heard("")
                continue
            for name in link_names(data):
                self._heard(name)


def link_names(data: bytes) -> Iterator[str]:
    """Names of the links that netlink messages are about."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            return
        if kind in _LINK_MESSAGES:
            yield from _name(data[position + _HEADER.size + _LINK_BODY : position + length])
        position += (length + 3) & ~3


def _name(attributes: bytes) -> Iterator[str]:
    position = 0
    while position + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, position)
        if length < _ATTRIBUTE.size:
            return
        if kind == _IFNAME:
            yield attributes[position + _ATTRIBUTE.size : position + length].rstrip(b"\0").decode()
            return
        position += (length + 3) & ~3
