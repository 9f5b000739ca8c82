"""Services of one process call each other directly, and it makes no difference but time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mesh import caller, direct, ids, tracing
from mesh.caller import Caller, Kind
from mesh.certificates import Identity
from mesh.channel import Peers
from mesh.errors import CloudError
from tests.mesh.cloudlet import Cloudlet
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1 import flavor_service_pb2_grpc as pb_grpc
from weft.compute.v1 import resources_pb2

_USER = Caller(kind=Kind.USER, user_id="u", project_id="p", scope="project", roles=frozenset({"member"}))


@pytest.fixture(params=["directly", "by wire"])
async def peers(little: Cloudlet, request: pytest.FixtureRequest) -> Any:
    """Placement's peers; compute is in this process, and once it is called as if it were not."""
    door = direct._open.get(little.settings.address("compute"))
    assert door is not None
    if request.param == "by wire":
        await door.close(0)
    made = Peers(little.settings, little.authority.issue(Identity.service("placement")))
    yield made
    await made.close()


async def get(peers: Peers, **more: Any) -> resources_pb2.Flavor:
    """GetFlavor of compute."""
    stub = peers.stub(pb_grpc.FlavorServiceStub, service="compute")
    return await stub.GetFlavor(pb.GetFlavorRequest(id=ids.new()), **more)


async def test_the_caller_is_whom_the_certificate_and_its_word_name(little: Cloudlet, peers: Peers) -> None:
    await get(peers)
    with caller.acting_as(_USER):
        await get(peers)
    alone, acting = little.flavors.callers
    assert (alone.kind, alone.service, alone.for_nobody) == (Kind.SERVICE, "placement", True)
    assert acting == replace(_USER, kind=Kind.SERVICE, service="placement")


async def test_what_is_not_for_a_service_or_not_valid_is_refused(little: Cloudlet, peers: Peers) -> None:
    flavors = peers.stub(pb_grpc.FlavorServiceStub, service="compute")
    with pytest.raises(CloudError) as caught:
        await flavors.GetFlavor(pb.GetFlavorRequest(id="no uuid"))
    assert (caught.value.reason, set(caught.value.fields)) == ("INVALID_ARGUMENT", {"id"})
    node = Peers(little.settings, little.authority.issue(Identity.node(ids.new())))
    with pytest.raises(CloudError) as caught:
        await get(node)
    assert caught.value.reason == "AUDIENCE_REFUSED"
    await node.close()


async def test_an_error_arrives_whole(little: Cloudlet, peers: Peers) -> None:
    def fail(request: Any) -> Any:
        raise CloudError("NO_VALID_HOST", "no host", hosts=3, filters="ram=3")

    little.flavors.get = fail
    with pytest.raises(CloudError) as caught:
        await get(peers)
    got = caught.value
    assert (got.reason, got.message) == ("NO_VALID_HOST", "no host")
    assert got.metadata == {"hosts": "3", "filters": "ram=3"}


async def test_neither_side_sees_what_the_other_does_to_a_message(little: Cloudlet, peers: Peers) -> None:
    kept = resources_pb2.Flavor(name="mine")
    little.flavors.get = lambda request: kept
    (await get(peers)).name = "yours"
    assert (await get(peers)).name == "mine"


async def test_a_deadline_holds_and_ends_the_work(little: Cloudlet, peers: Peers) -> None:
    ended = asyncio.Event()

    async def long(request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    little.flavors.get = long
    with pytest.raises(CloudError) as caught:
        await get(peers, timeout=0.2)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    async with asyncio.timeout(60):
        await ended.wait()


async def test_who_stops_waiting_ends_the_work(little: Cloudlet, peers: Peers) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def long(request: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    little.flavors.get = long
    call = asyncio.create_task(get(peers))
    async with asyncio.timeout(60):
        await begun.wait()
        call.cancel()
        await ended.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_the_work_knows_nothing_of_its_callers_task(little: Cloudlet, peers: Peers) -> None:
    def look(request: Any) -> Any:
        return resources_pb2.Flavor(name=tracing.trace_id(), description=caller.current().user_id)

    little.flavors.get = look
    with caller.acting_as(replace(_USER, kind=Kind.NODE)):  # a kind that is not handed on
        answer = await get(peers)
    assert (answer.name, answer.description) == ("", "")
    assert caller.current() == caller.ANONYMOUS


async def test_only_one_who_trusts_our_authority_and_means_us_finds_the_door(
    little: Cloudlet, tmp_path: Any
) -> None:
    address, name = little.settings.address("compute"), Identity.service("compute").dns
    ours = little.authority.issue(Identity.service("placement"))
    theirs = type(little.authority).open_or_create(tmp_path, "weft").issue(Identity.service("placement"))
    codec = {"request_serializer": None, "response_deserializer": None}
    path = "/weft.compute.v1.FlavorService/GetFlavor"
    assert direct.Call(path, direct.Way(address, ours, name), codec).possible()
    for way in (
        direct.Way(address, theirs, name),
        direct.Way(address, ours, Identity.service("network").dns),
        direct.Way("127.0.0.1:1", ours, name),
    ):
        assert not direct.Call(path, way, codec).possible()


async def test_calls_under_way_end_before_a_door_is_closed(little: Cloudlet) -> None:
    door = direct._open[little.settings.address("compute")]
    peers = Peers(little.settings, little.authority.issue(Identity.service("placement")))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        begun.set()
        await go_on.wait()
        return resources_pb2.Flavor(name="done")

    little.flavors.get = slow
    call = asyncio.create_task(get(peers))
    async with asyncio.timeout(60):
        await begun.wait()
        closing = asyncio.create_task(door.close(60))
        await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()
        await closing
        assert (await call).name == "done"
    assert little.settings.address("compute") not in direct._open
    await peers.close()
