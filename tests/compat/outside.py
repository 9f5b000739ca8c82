"""A cloud's endpoint as its outside reaches it: floating IPs are there, and a judge wants both at once."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cli.cloud import spaces
from cli.cloud.layout import Layout
from node.wire import namespaces

_PIECE = 1 << 16


@contextmanager
def standing(layout: Layout) -> Iterator[list[str]]:
    """What a command begins with to run outside, where the endpoint has the address that it has here."""
    with namespaces.inside(layout.space("outside")):
        door = socket.create_server(("127.0.0.1", layout.port), backlog=128)
    thread = threading.Thread(target=_serve, args=(door, layout.port))
    thread.start()
    try:
        yield spaces.enter(layout.space("outside"))
    finally:
        door.shutdown(socket.SHUT_RDWR)
        thread.join()
        door.close()


def _serve(door: socket.socket, port: int) -> None:
    """Carry each connection to the endpoint, until the door is shut."""
    while True:
        try:
            near, _ = door.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port))
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # either end may go whenever it likes
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
