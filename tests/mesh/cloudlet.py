"""A little cloud for tests of the mesh: identity's key service and compute's flavors, served for real.

The contracts, certificates, ports and checks are those of production; only what the servicers answer is made
up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import MetaData

from mesh import caller, clock, ids, server, tables, tokens
from mesh.caller import Caller
from mesh.certificates import Authority, Identity
from mesh.channel import Client, connect
from mesh.errors import CloudError
from mesh.server import Part, Runtime, Service
from mesh.settings import Settings
from weft.compute.v1 import flavor_service_pb2, flavor_service_pb2_grpc, host_service_pb2_grpc
from weft.compute.v1 import resources_pb2 as compute_pb2
from weft.identity.v1 import key_service_pb2, key_service_pb2_grpc
from weft.identity.v1 import resources_pb2 as identity_pb2

TABLES = MetaData()
tables.add_to(TABLES)
Answer = Callable[[Any], Any]


class Signer:
    """Makes tokens as identity does, and broken ones as attackers do."""

    def __init__(self, kid: str = "k1") -> None:
        self.kid, self.key = kid, Ed25519PrivateKey.generate()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a member of project p; None takes one away."""
        now = time.time()
        claims = {
            "sub": "user-1",
            "jti": ids.new(),
            "iat": now,
            "exp": int(now) + 600,
            "aud": tokens.AUDIENCE,
            "iss": "weft",
            "usr": "ada",
            "udm": "default",
            "scp": "project",
            "prj": "project-1",
            "rol": ["member", "reader"],
        }
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changes: Any) -> str:
        """A token with these claims changed."""
        return jwt.encode(self.claims(**changes), self.key, "EdDSA", {"kid": self.kid})

    def public(self) -> bytes:
        """The raw public key."""
        return self.key.public_key().public_bytes_raw()


@dataclass
class Keys(key_service_pb2_grpc.KeyServiceServicer):
    """Identity's key service over a signer; revocations are pushed by the test."""

    signers: list[Signer]
    revocations: list[identity_pb2.Revocation] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    streaming: bool = True
    checked: int = 0

    async def ListKeys(self, request: Any, context: Any) -> key_service_pb2.ListKeysResponse:
        keys = [identity_pb2.SigningKey(kid=s.kid, public_key=s.public()) for s in self.signers]
        return key_service_pb2.ListKeysResponse(keys=keys)

    async def WatchRevocations(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if not self.streaming:
            raise CloudError("UNAVAILABLE", "no stream today")
        sent = 0
        while True:
            while sent < len(self.revocations):
                yield key_service_pb2.WatchRevocationsResponse(revocation=self.revocations[sent])
                sent += 1
            yield key_service_pb2.WatchRevocationsResponse(caught_up=True)
            async with self.changed:
                while sent == len(self.revocations):
                    await self.changed.wait()

    async def CheckToken(self, request: Any, context: Any) -> identity_pb2.TokenInfo:
        self.checked += 1
        claims = jwt.decode(request.token, options={"verify_signature": False})
        if any(claims["jti"] == revocation.token_id for revocation in self.revocations):
            raise CloudError("TOKEN_REVOKED", "revoked")
        return identity_pb2.TokenInfo(id=claims["jti"])

    async def revoke(self, **about: str) -> None:
        """Revoke everything issued until now of that token_id, user_id, project_id or domain_id."""
        now = Timestamp()
        now.FromDatetime(clock.now())
        later = Timestamp(seconds=now.seconds + 3600)
        self.revocations.append(identity_pb2.Revocation(issued_before=now, expires_at=later, **about))
        async with self.changed:
            self.changed.notify_all()


class Flavors(flavor_service_pb2_grpc.FlavorServiceServicer):
    """Compute's flavors; `get` and `create` are what the test wants. Keeps whom it was called by."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.get: Answer = lambda request: compute_pb2.Flavor(id=request.id)
        self.create: Answer = lambda request: compute_pb2.Flavor(name=request.name)

    async def GetFlavor(self, request: Any, context: Any) -> compute_pb2.Flavor:
        self.callers.append(caller.current())
        answer = self.get(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def CreateFlavor(self, request: Any, context: Any) -> compute_pb2.Flavor:
        self.callers.append(caller.current())
        return self.create(request)


@dataclass
class Cloudlet:
    """What a test holds in hand."""

    settings: Settings
    authority: Authority
    signer: Signer
    keys: Keys
    flavors: Flavors
    runtimes: dict[str, Runtime]

    def client(self, token: str | None = None, who: Identity | None = None) -> Client:
        """A client of compute: through the gateway's certificate unless `who` says otherwise."""
        leaf = self.authority.issue(who or Identity.gateway())
        return connect(
            self.settings.address("compute"),
            Path(self.authority.directory / "ca.crt"),
            token,
            leaf=leaf,
            server_name=Identity.service("compute").dns,
        )

    async def get_flavor(self, token: str | None = None, who: Identity | None = None) -> compute_pb2.Flavor:
        """GetFlavor as that caller."""
        async with self.client(token, who) as client:
            request = flavor_service_pb2.GetFlavorRequest(id=ids.new())
            return await client.stub(flavor_service_pb2_grpc.FlavorServiceStub).GetFlavor(request)


@asynccontextmanager
async def cloudlet(settings: Settings) -> AsyncIterator[Cloudlet]:
    """Both services, up within the block."""
    signer = Signer()
    keys, flavors = Keys([signer]), Flavors()

    def identity(runtime: Runtime) -> Service:
        return Service([(key_service_pb2_grpc.add_KeyServiceServicer_to_server, keys)])

    def compute(runtime: Runtime) -> Service:
        return Service(
            [
                (flavor_service_pb2_grpc.add_FlavorServiceServicer_to_server, flavors),
                (
                    host_service_pb2_grpc.add_HostServiceServicer_to_server,
                    host_service_pb2_grpc.HostServiceServicer(),
                ),
            ]
        )

    parts = [Part("identity", identity), Part("compute", compute, TABLES)]
    async with server.running(settings, parts) as runtimes:
        yield Cloudlet(settings, runtimes["compute"].authority, signer, keys, flavors, runtimes)
