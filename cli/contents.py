"""Contents of images by plain HTTP, as the edge passes them on: bytes, and no messages."""

import http.client
import json
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Protocol

from mesh import tracing
from mesh.errors import CloudError, from_problem

PIECE_BYTES = 1 << 20
_ATTEMPTS = 5
_SILENCE = 330.0  # seconds: longer than the service waits for anybody
Told = Callable[[int], object]


class Readable(Protocol):
    """What a body is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Contents:
    """The contents of a cloud's images. Blocks; raises CloudError."""

    def __init__(self, endpoint: str, ca: str, token: str) -> None:
        self._endpoint, self._token = endpoint, token
        self._trust = ssl.create_default_context(cafile=ca)

    def put(self, image_id: str, content: BinaryIO, told: Told = int) -> dict[str, Any]:
        """Give an image its content; the image as JSON. `told` hears how many bytes each piece has."""
        size = os.fstat(content.fileno()).st_size
        with self._connection() as connection:
            # Files that the kernel makes as they are read, and pipes, have no size.
            length = {"Content-Length": str(size)} if size else {"Transfer-Encoding": "chunked"}
            body, headers = _Told(content, told), self._headers(length)
            with suppress(ConnectionError, ssl.SSLError):  # it is answered before it is heard out
                connection.request("PUT", _path(image_id), body, headers, encode_chunked=not size)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 200:
                raise from_problem(said)
            return dict(said)

    def get(self, image_id: str, size: int, told: Callable[[memoryview], object]) -> None:
        """Have `told` given all of a content, piece by piece; a connection that is cut goes on where it was.

        What it is given is only good until it returns.
        """
        got, etag, room = 0, "", memoryview(bytearray(PIECE_BYTES))
        for attempt in range(_ATTEMPTS):
            asked = {"Range": f"bytes={got}-", "If-Range": etag} if got else {}
            try:
                with self._connection() as connection:
                    connection.request("GET", _path(image_id), headers=self._headers(asked))
                    answer = connection.getresponse()
                    if answer.status != (206 if got else 200):
                        raise _refused(answer)
                    etag = answer.headers["ETag"]
                    while more := answer.readinto(room):
                        told(room[:more])
                        got += more
            except CloudError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    raise
            if got == size:
                return
        raise _unavailable(f"The content ended after {got} of {size} bytes.")

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        host, _, port = self._endpoint.rpartition(":")
        connection = http.client.HTTPSConnection(
            host.strip("[]"), int(port), context=self._trust, timeout=_SILENCE, blocksize=PIECE_BYTES
        )
        try:
            yield connection
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise _unavailable(f"{self._endpoint} does not answer: {error}") from error
        finally:
            connection.close()

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", **tracing.carrier(), **more}


class _Told:
    """A file that tells what is read of it."""

    def __init__(self, file: Readable, told: Told) -> None:
        self._file, self._told = file, told

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._told(len(data))
        return data


def _path(image_id: str) -> str:
    return f"/image/v1/images/{image_id}/file"


def _refused(answer: http.client.HTTPResponse) -> CloudError:
    if answer.status < 400 or answer.status == 416:
        return _unavailable(f"The edge answered a download by {answer.status}.")
    return from_problem(json.loads(answer.read()))


def _unavailable(message: str) -> CloudError:
    return CloudError("UNAVAILABLE", message, service="image")
