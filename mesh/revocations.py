"""The verifier of every process but identity's: keys asked for, revocations followed.

While the stream of revocations is down, a token that verifies is shown to identity as well, and its answer is
trusted for a second. With identity away too, calls with tokens are answered UNAVAILABLE: nobody gets in on
the word of a process that may have missed a revocation.
"""

import asyncio
import logging
import time
from contextlib import suppress

from mesh import caller, tokens
from mesh.caller import Caller
from mesh.channel import Peers
from mesh.errors import CloudError
from mesh.news import News
from weft.identity.v1 import key_service_pb2, key_service_pb2_grpc

# Identity sends something at least every five seconds: after this long without, the stream is taken for dead.
SILENCE = 15.0
_ANSWER_HOLDS = 1.0
_RETRY = 0.5
# A process that has just begun waits so long for what was revoked before, and then goes by what it knows.
_FIRST_WORD = 1.0
# An unknown key id makes identity be asked, at most this often.
_ASK_EVERY = 1.0
_log = logging.getLogger(__name__)


class RemoteKeys:
    """Identity's public keys, asked for when a token names one that is not known."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._keys: dict[str, bytes] = {}
        self._asked = float("-inf")
        self._asking = asyncio.Lock()

    async def key(self, kid: str) -> bytes | None:
        """The raw public key of that id. Raises UNAVAILABLE when identity does not answer."""
        if kid not in self._keys:
            async with self._asking:
                if kid not in self._keys and time.monotonic() - self._asked > _ASK_EVERY:
                    await self._ask()
        return self._keys.get(kid)

    async def _ask(self) -> None:
        stub = self._peers.stub(key_service_pb2_grpc.KeyServiceStub, "identity")
        with caller.acting_as(caller.ANONYMOUS):
            answer = await stub.ListKeys(key_service_pb2.ListKeysRequest(), timeout=5)
        self._asked = time.monotonic()
        self._keys = {key.kid: key.public_key for key in answer.keys}


class RemoteVerifier:
    """A `Verifier` for every process but identity's."""

    def __init__(self, peers: Peers, news: News | None = None) -> None:
        """`news` is told what else comes by the stream."""
        self._peers, self._news = peers, news or News()
        self._revocations = tokens.Revocations()
        self._local = tokens.TokenVerifier(RemoteKeys(peers), self._revocations)
        self._heard = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._answers: dict[str, float] = {}

    async def verify(self, token: str) -> Caller:
        """The caller that a token names."""
        self._begin()
        found = await self._local.verify(token)
        if not self._news.following:
            await self._ask(token, found.token_id)
        return found

    async def standing(self, host: Caller) -> None:
        """While identity is away a host goes by what is known: it has guests, and its certificate ends."""
        self._begin()
        if not self._heard.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_WORD):
                    await self._heard.wait()
        if self._revocations.cover(host, 0.0):
            raise tokens.join_revoked(host.host_id)

    def _begin(self) -> None:
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow(), name="follow revocations")

    async def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _ask(self, token: str, token_id: str) -> None:
        now = time.monotonic()
        if self._answers.get(token_id, 0.0) > now:
            return
        stub = self._peers.stub(key_service_pb2_grpc.KeyServiceStub, "identity")
        with caller.acting_as(caller.ANONYMOUS):
            await stub.CheckToken(key_service_pb2.CheckTokenRequest(token=token), timeout=5)
        self._answers = {id: until for id, until in self._answers.items() if until > now}
        self._answers[token_id] = now + _ANSWER_HOLDS

    async def _follow(self) -> None:
        """Hold the stream of revocations open for as long as the process lives."""
        stub = self._peers.stub(key_service_pb2_grpc.KeyServiceStub, "identity")
        while True:
            try:
                messages = aiter(stub.WatchRevocations(key_service_pb2.WatchRevocationsRequest()))
                while True:
                    async with asyncio.timeout(SILENCE):
                        self._take(await anext(messages))
            except (CloudError, TimeoutError, StopAsyncIteration) as error:
                if self._news.following:
                    _log.warning("the stream of revocations broke: identity is asked instead (%r)", error)
            self._news.following = False
            await asyncio.sleep(_RETRY)

    def _take(self, message: key_service_pb2.WatchRevocationsResponse) -> None:
        if message.HasField("revocation"):
            self._revocations.add(message.revocation)
        if message.limits_changed:
            self._news.limits += 1
        if message.caught_up:
            self._news.caught_up()
            self._heard.set()
