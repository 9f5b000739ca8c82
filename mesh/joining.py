"""How a machine becomes a host, once, and stays one: the join token, the first certificate, the next ones.

The first comes through the gateway, as a machine without a certificate can talk to nobody else. The token
carries the CA's certificate, so that the machine knows the cloud, and a secret, so that the cloud knows it.
"""

import asyncio
import base64
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mesh.certificates import Identity
from mesh.channel import Peers, connect
from mesh.errors import CloudError
from mesh.holder import Holder, keep, signing_request
from mesh.settings import SettingsError
from weft.identity.v1 import join_service_pb2 as pb
from weft.identity.v1.join_service_pb2_grpc import JoinServiceStub

EVERY = 10.0  # seconds between looks at whether the next certificate is due
_PATIENCE = 30.0
_PREFIX = "weft-join-1."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a join token says. `address` is the gateway's, `host:port`; the CA's certificate is PEM."""

    host_id: str
    secret: str
    ca_pem: bytes
    address: str

    def text(self) -> str:
        """As it is given to people."""
        said = (self.host_id, self.secret, self.ca_pem, self.address)
        return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(said)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "JoinToken":
        """What `text` made. Raises ValueError for anything else."""
        body = text.strip().removeprefix(_PREFIX)
        try:
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            said = msgspec.msgpack.decode(raw, type=tuple[str, str, bytes, str])
            uuid.UUID(said[0])
        except (ValueError, msgspec.DecodeError) as error:
            raise ValueError("this is no join token") from error
        return cls(*said)


def read_token(file: Path) -> JoinToken:
    """The token in a file. Raises SettingsError."""
    try:
        return JoinToken.read(file.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error.strerror if isinstance(error, OSError) else error}") from error


def directory(state: Path) -> Path:
    """Where a host whose state is there keeps its certificate."""
    return state / "pki"


def host_of(state: Path) -> str:
    """The id of the host whose state is there, "" while it has none."""
    file = state / "host-id"
    return file.read_text().strip() if file.exists() else ""


def joined(state: Path) -> Holder | None:
    """The certificate of the host whose state is there, None when it has none that holds."""
    host_id = host_of(state)
    if not host_id or not (directory(state) / f"{Identity.node(host_id).file}.crt").exists():
        return None
    holder = Holder(directory(state), host_id)
    return None if holder.over else holder


async def join(state: Path, token: JoinToken) -> str:
    """Make the machine whose state is there the token's host; the host's id. To be repeated as it is when
    the answer was lost. Raises SettingsError when it is another host, and CloudError as JoinService.Join.
    """
    if (known := host_of(state)) and known != token.host_id:
        raise SettingsError(
            f"{state}: this machine is host {known}: make a token for that with `weft join-token create "
            f"--host-id {known}`"
        )
    place = directory(state)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / "ca.crt").write_bytes(token.ca_pem)
    (place / "gateway").write_text(token.address)
    await _ask_gateway(place, token.host_id, token.secret)
    (state / "host-id").write_text(token.host_id)
    return token.host_id


def kept_current(holder: Holder, peers: Peers) -> Callable[[], Awaitable[None]]:
    """What keeps a host's certificate current for as long as its process lives."""

    async def run() -> None:
        while True:
            await asyncio.to_thread(holder.look)
            if holder.due:
                await _renew(holder, peers)
            await asyncio.sleep(EVERY)

    return run


async def _renew(holder: Holder, peers: Peers) -> None:
    host_id = holder.identity.path.removeprefix("node/")
    try:
        if holder.over:  # no service listens to it any more: the gateway does
            await _ask_gateway(holder.directory, host_id, "")
            await asyncio.to_thread(holder.look)
        else:
            stub = peers.stub(JoinServiceStub, service="identity")
            csr = await asyncio.to_thread(holder.request)
            request = pb.RenewCertificateRequest(host_id=host_id, csr=csr)
            await asyncio.to_thread(holder.take, (await stub.RenewCertificate(request)).certificate)
        _log.info("the host has a new certificate")
    except CloudError as error:
        _log.warning("the host's certificate is not renewed yet: %s", error.message)


async def _ask_gateway(place: Path, host_id: str, secret: str) -> None:
    """Get a certificate by JoinService.Join, and keep it."""
    identity = Identity.node(host_id)
    key_path = place / f"{identity.file}.key"
    csr = await asyncio.to_thread(signing_request, key_path)
    # By what the gateway's certificate always says: how the machine dials it need not stand in there.
    name = Identity.gateway().dns
    async with connect((place / "gateway").read_text(), place / "ca.crt", server_name=name) as client:
        request = pb.JoinRequest(host_id=host_id, secret=secret, csr=csr)
        answer = await client.stub(JoinServiceStub).Join(request, timeout=_PATIENCE)
    await asyncio.to_thread(keep, key_path, place / f"{identity.file}.crt", answer.certificate)
