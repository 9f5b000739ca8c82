"""What it costs to know who calls: a token that is known, one that is new, and a password for a token."""

from dataclasses import dataclass, replace

from benchmarks import measure
from benchmarks.figures import Goal
from benchmarks.people import Person, person
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
        await _log_in(bench, somebody)


@dataclass(frozen=True)
class _Way:
    """How somebody without a token gets there: a plain call, and a login."""

    name: str
    call: measure.Work
    log_in: measure.Work


def _way(name: str, anybody: Person) -> _Way:
    keys = anybody.client.stub(KeyServiceStub)
    return _Way(name, lambda: keys.ListKeys(ListKeysRequest()), anybody.log_in)


async def _log_in(bench: Bench, somebody: Person) -> None:
    """Beside the hash alone, in turns: what is on top of it is weft's own.

    Right before each is a call that does not count, so that both find processors that are awake; without it a
    login meets what 20 ms of this process' own hashing have left of the caches, which is told apart.
    """
    passwords = Passwords()
    stored = await passwords.hashed("right")

    async def alone() -> object:
        return await passwords.match(stored, "wrong")

    layout = somebody.cloud.layout
    async with connect(layout.endpoint, layout.ca) as client:  # as who logs in: without a token
        anybody = replace(somebody, client=client)
        async with anybody.directly("identity") as direct:
            ways = [
                _way("to the service", replace(somebody, client=direct)),
                _way("through the gateway", anybody),
            ]
            await _in_turns(bench, "", ways, alone, None)
            await _in_turns(bench, ", after 20 ms", ways, alone, alone)


async def _in_turns(
    bench: Bench, what: str, ways: list[_Way], alone: measure.Work, before: measure.Work | None
) -> None:
    """The hash and a login by each way, over and over; before each stands `before`, else a plain call."""
    times, hashes = bench.of(40, 400), list[float]()
    whole: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(times):
        await (before or ways[-1].call)()
        hashes.append(await measure.timed(alone))
        for way in ways:
            await (before or way.call)()
            whole[way.name].append(await measure.timed(way.log_in))
    bench.tell(f"the password's hash alone (argon2id){what}", "ms", hashes)
    for way in ways:
        samples = whole[way.name]
        with (await bench.cloud()).spending() as spent:
            await measure.one_by_one(way.log_in, times)
        bench.tell(f"password to token {way.name}{what}", "ms", samples, None, spent.each(times))
        beyond = [one - other for one, other in zip(samples, hashes, strict=True)]
        goal = None if what else Goal(3)
        bench.tell(f"password to token {way.name}, beyond the hash{what}", "ms", beyond, goal)
