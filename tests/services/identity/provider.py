"""Identity providers for tests: a real one as a process, and one that says whatever it is told to."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT = "weft"


@dataclass
class RealProvider:
    """An OpenID Connect provider; people log in to it as with a browser."""

    issuer: str

    def person(self, subject: str, **claims: Any) -> None:
        """Somebody whom it knows."""
        httpx.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def id_token(self, subject: str, nonce: str = "") -> str:
        """What its client gets for somebody who has just logged in, by an authorization code."""
        back = "http://127.0.0.1/back"
        query = {"client_id": CLIENT, "redirect_uri": back, "response_type": "code", "scope": "openid email"}
        with httpx.Client(base_url=self.issuer, timeout=20) as browser:
            query |= {"nonce": nonce} if nonce else {}
            said = browser.post("/oauth2/authorize", params=query, data={"sub": subject})
            code = parse_qs(urlsplit(said.headers["location"]).query)["code"][0]
            wanted = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
            answer = browser.post("/oauth2/token", data=wanted, auth=(CLIENT, "secret"))
        return str(answer.raise_for_status().json()["id_token"])


@contextmanager
def real_provider(port: int) -> Iterator[RealProvider]:
    """One that runs within the block; with new keys each time."""
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        provider = RealProvider(f"http://127.0.0.1:{port}")
        _await(process, provider.issuer)
        yield provider
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        assert process.poll() is None, "the provider did not start"
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/jwks").status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise AssertionError("the provider does not answer")


@dataclass
class Page:
    """What is answered at a path."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class OddProvider:
    """One whose every page and token a test makes up."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.say("/.well-known/openid-configuration", issuer=self.issuer, jwks_uri=f"{self.issuer}/jwks")
        self.publish(one=self.key)

    def say(self, path: str, **said: Any) -> None:
        """Answer this object there."""
        self.pages[path] = Page(json.dumps(said).encode())

    def publish(self, **keys: rsa.RSAPrivateKey) -> None:
        """Say that these are its keys."""
        public = {kid: RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for kid, key in keys.items()}
        self.say("/jwks", keys=[{**said, "kid": kid} for kid, said in public.items()])

    def token(self, key: Any = None, algorithm: str | None = "RS256", kid: str = "one", **claims: Any) -> str:
        """An ID token that would be good, but for what is given; None takes a claim away."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300}
        said = {name: value for name, value in {**good, "name": "ann", **claims}.items() if value is not None}
        return jwt.encode(said, self.key if key is None else key, algorithm, headers={"kid": kid})

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                page = provider.pages.get(self.path, Page(status=404))
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):  # who asked has seen enough
                    self.wfile.write(page.content)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler
