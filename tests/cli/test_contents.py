"""Contents by plain HTTP: a download that is cut goes on where it was."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cli.contents import Contents
from mesh.certificates import Authority, Identity
from mesh.errors import CloudError

DATA = os.urandom(3_000_000)
ETAG = '"of this content"'


@contextmanager
def edge(folder: Path, *cuts: int) -> Iterator[tuple[Contents, list[str]]]:
    """One that ends its answers after so many bytes, each once; and what ranges it was asked for."""
    left, asked = list(cuts), []

    class Giver(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            range = self.headers.get("Range", "")
            asked.append(range)
            assert self.headers.get("If-Range", ETAG) == ETAG
            rest = DATA[int(range.removeprefix("bytes=").removesuffix("-") or 0) :]
            self.send_response(206 if range else 200)
            self.send_header("ETag", ETAG)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: left.pop(0)] if left else rest)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    authority = Authority.open_or_create(folder, "weft")
    leaf = authority.issue(Identity.server("edge", ["127.0.0.1"]))
    leaf.pair()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Giver)
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(leaf.certificate_path, leaf.key_path)
    server.socket = trust.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Contents(f"127.0.0.1:{server.server_address[1]}", str(folder / "ca.crt"), "token"), asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_download_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    got = bytearray()
    with edge(tmp_path, 1_500_000, 700_000) as (contents, asked):
        contents.get("image", len(DATA), got.extend)
    assert got == DATA
    assert asked == ["", "bytes=1500000-", "bytes=2200000-"]


def test_a_download_that_is_always_cut_is_given_up(tmp_path: Path) -> None:
    with edge(tmp_path, *[1000] * 20) as (contents, asked), pytest.raises(CloudError) as failure:
        contents.get("image", len(DATA), len)
    assert failure.value.reason == "UNAVAILABLE"
    assert "5000 of 3000000 bytes" in failure.value.message
    assert len(asked) == 5
