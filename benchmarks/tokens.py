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
            anybody = replace(somebody, client=client)
            await _log_in(
                bench, anybody.log_in, lambda: client.stub(KeyServiceStub).ListKeys(ListKeysRequest())
            )


async def _log_in(bench: Bench, log_in: measure.Work, call: measure.Work) -> None:
    """Beside the hash alone, in turns: what is on top of it is weft's own.

    Right before each is a call that does not count, so that both find processors that are awake; without it a
    login meets what 20 ms of this process' own hashing have left of the caches, which is told apart.
    """
    passwords = Passwords()
    stored = await passwords.hashed("right")

    async def alone() -> object:
        return await passwords.match(stored, "wrong")

    for what, before in (("", call), (", after 20 ms", alone)):
        await _in_turns(bench, what, before, alone, log_in)


async def _in_turns(
    bench: Bench, what: str, before: measure.Work, alone: measure.Work, log_in: measure.Work
) -> None:
    times, hashes, whole = bench.of(40, 400), [], []
    with (await bench.cloud()).spending() as spent:
        for _ in range(times):
            await before()
            hashes.append(await measure.timed(alone))
            await before()
            whole.append(await measure.timed(log_in))
    bench.tell(f"the password's hash alone (argon2id){what}", "ms", hashes)
    bench.tell(f"password to token through the gateway{what}", "ms", whole, None, spent.each(times))
    beyond = [one - other for one, other in zip(whole, hashes, strict=True)]
    bench.tell(f"password to token beyond the hash{what}", "ms", beyond, None if what else Goal(3))
