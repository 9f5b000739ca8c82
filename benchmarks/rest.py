"""JSON over one kept HTTP/1.1 connection to the gateway."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.people import Person


class Rest:
    """What a person asks."""

    def __init__(self, somebody: Person) -> None:
        layout = somebody.cloud.layout
        trust = ssl.create_default_context(cafile=str(layout.ca))
        self.connection = http.client.HTTPSConnection("127.0.0.1", layout.port, context=trust)
        self._headers = {"Authorization": f"Bearer {somebody.client.token}"}

    def get(self, path: str) -> bytes:
        """The body of the answer. Raises ConnectionError when it is no 200."""
        self.connection.request("GET", path, headers=self._headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ConnectionError(f"the gateway answered {answer.status}: {body!r}")
        return body


@contextmanager
def asking(somebody: Person) -> Iterator[Rest]:
    """A connection for the block."""
    rest = Rest(somebody)
    try:
        yield rest
    finally:
        rest.connection.close()
