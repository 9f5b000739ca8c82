"""What it costs to know who calls: a token that is known, one that is new, and a password for a token."""

from dataclasses import replace

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import person
from benchmarks.suite import Bench
from mesh.channel import connect
from mesh.tokens import Revocations, TokenVerifier
from services.identity.passwords import Passwords
from weft.identity.v1.key_service_pb2 import ListKeysRequest
from weft.identity.v1.key_service_pb2_grpc import KeyServiceStub


class _KnownKeys:
    """The cloud's public keys, asked for once."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    async def key(self, kid: str) -> bytes | None:
        return self._keys.get(kid)


async def run(bench: Bench) -> None:
    """In process, as every service checks tokens, and through the gateway as people log in."""
    cloud = await bench.cloud()
    async with person(cloud) as somebody:
        answer = await somebody.client.stub(KeyServiceStub).ListKeys(ListKeysRequest())
        keys = _KnownKeys({key.kid: key.public_key for key in answer.keys})
        token = somebody.client.token
        assert token is not None
        known = TokenVerifier(keys, Revocations())
        await known.verify(token)
        times = bench.of(1000, 20_000)
        samples = await measure.one_by_one(lambda: known.verify(token), times, warm_up=100)
        bench.tell("check of a known token", "ms", samples, Goal(0.01))
        samples = await measure.one_by_one(
            lambda: TokenVerifier(keys, Revocations()).verify(token), times, warm_up=100
        )
        bench.tell("check of a new token", "ms", samples, Goal(0.3))
        layout = cloud.layout
        async with connect(layout.endpoint, layout.ca) as client:  # as who logs in: without a token
            await _log_in(bench, replace(somebody, client=client).log_in)


async def _log_in(bench: Bench, log_in: measure.Work) -> None:
    """Beside the hash alone, in turns: what is on top of it is weft's own."""
    passwords = Passwords()
    stored = await passwords.hashed("right")
    times, hashes, whole = bench.of(40, 400), [], []
    with (await bench.cloud()).spending() as spent:
        for _ in range(times):
            hashes.append(await measure.timed(lambda: passwords.match(stored, "wrong")))
            whole.append(await measure.timed(log_in))
    bench.tell("the password's hash alone (argon2id)", "ms", hashes)
    bench.tell("password to token through the gateway", "ms", whole, None, spent.each(times))
    beyond = [one - other for one, other in zip(whole, hashes, strict=True)]
    bench.tell("password to token beyond the hash", "ms", beyond, Goal(3))
