"""Somebody's web server, from which images are imported: slow, and at times it goes away in the middle."""

import asyncio
import random
import re
from contextlib import closing, suppress

_PART = re.compile(r"^range: bytes=(\d+)-\r", re.IGNORECASE | re.MULTILINE)
_PIECES = 8
_CUTS = 0.1  # the share of answers that end early


def content(name: str, size: int) -> bytes:
    """What there is under a name: so many bytes, the same each time."""
    return random.Random(name).randbytes(size)


def _head(name: str, size: int, left: int) -> bytes:
    """Of an answer with all of it, or with what is left of it."""
    lines = ["HTTP/1.1 200 OK" if left == size else "HTTP/1.1 206 Partial Content", "Connection: close"]
    lines += [f"Content-Length: {left}", f'ETag: "{name}"']
    lines += [f"Content-Range: bytes {size - left}-{size - 1}/{size}"] * (left != size)
    return "\r\n".join([*lines, "", ""]).encode()


class Web:
    """On a port of 127.0.0.1, from `start` until `stop`."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed}/web")
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Serve; the address that names are put behind."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Serve no more."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request: `/<bytes>/<seconds that it takes>/<name>`, all of it or its end."""
        # Who asks may be killed at any time, and is asked for nothing more where it is.
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            _, size, seconds, name = request.split(" ")[1].split("/", 3)
            part = _PART.search(request)
            body = content(name, int(size))[int(part[1]) if part else 0 :]
            writer.write(_head(name, int(size), len(body)))
            pieces = self._rng.randrange(_PIECES) if self._rng.random() < _CUTS else _PIECES
            step = len(body) // _PIECES + 1
            for number in range(pieces):
                if writer.is_closing():
                    return
                writer.write(body[number * step : (number + 1) * step])
                await writer.drain()
                await asyncio.sleep(float(seconds) / _PIECES)
