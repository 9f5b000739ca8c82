"""What happens to a call on its way: validation, errors, deadlines, retries, drain."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from mesh import access, certificates, ids, server, serving
from mesh.certificates import Identity
from mesh.channel import connect
from mesh.errors import CloudError
from mesh.server import Part, Runtime, Service
from mesh.serving import PortInUse
from mesh.settings import Settings
from tests.mesh.cloudlet import Cloudlet, cloudlet
from weft.compute.v1 import flavor_service_pb2 as pb
from weft.compute.v1 import flavor_service_pb2_grpc as pb_grpc
from weft.compute.v1 import key_pair_service_pb2, key_pair_service_pb2_grpc, resources_pb2
from weft.identity.v1 import key_service_pb2 as key_pb
from weft.identity.v1 import key_service_pb2_grpc as key_grpc


async def failure(little: Cloudlet, error: Exception) -> CloudError:
    """What a caller gets when the servicer raises `error`."""

    def fail(request: Any) -> Any:
        raise error

    little.flavors.get = fail
    with pytest.raises(CloudError) as caught:
        await little.get_flavor(little.signer.token())
    return caught.value


async def test_an_invalid_request_is_answered_with_every_field_at_fault(little: Cloudlet) -> None:
    admin = little.signer.token(scp="system", prj=None, rol=["admin"])
    async with little.client(admin) as client:
        with pytest.raises(CloudError) as caught:
            await client.stub(pb_grpc.FlavorServiceStub).CreateFlavor(
                pb.CreateFlavorRequest(name="", request_id="no uuid")
            )
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert {"name", "request_id"} <= set(caught.value.fields)
    assert little.flavors.callers == []


async def test_bytes_that_are_no_message_are_an_invalid_argument(little: Cloudlet) -> None:
    async with _raw_channel(little) as channel:
        call = channel.unary_unary("/weft.compute.v1.FlavorService/GetFlavor")
        with pytest.raises(aio.AioRpcError) as caught:
            await call(b"\xff\xff\xff", metadata=_bearer(little))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_typed_error_arrives_with_its_reason_and_metadata(little: Cloudlet) -> None:
    sent = CloudError("NO_VALID_HOST", "no host", hosts=3, filters="ram=3")
    got = await failure(little, sent)
    assert (got.reason, got.message, got.metadata) == (sent.reason, sent.message, sent.metadata)


async def test_a_defect_tells_nothing_but_a_trace_id(little: Cloudlet) -> None:
    got = await failure(little, RuntimeError("SELECT password FROM /etc/shadow"))
    assert got.reason == "INTERNAL"
    assert "password" not in got.message
    assert "shadow" not in str(got.metadata)


async def test_an_error_carries_one_error_info_and_the_trace_id_of_the_answer(little: Cloudlet) -> None:
    def fail(request: Any) -> Any:
        raise CloudError("NOT_FOUND", "gone", resource_type="flavor", id=request.id)

    little.flavors.get = fail
    async with _raw_channel(little) as channel:
        call = pb_grpc.FlavorServiceStub(channel).GetFlavor(
            pb.GetFlavorRequest(id=ids.new()), metadata=_bearer(little)
        )
        with pytest.raises(aio.AioRpcError) as caught:
            await call
    trailers = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    infos = [d for d in status.details if d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    (request_info,) = [d for d in status.details if d.Is(error_details_pb2.RequestInfo.DESCRIPTOR)]
    found = error_details_pb2.RequestInfo()
    request_info.Unpack(found)
    assert len(infos) == 1
    assert found.request_id == trailers["weft-trace-id"]
    assert json.loads(trailers["weft-problem"])["trace_id"] == found.request_id


async def test_an_answer_ends_with_the_trace_id_that_the_caller_sent(little: Cloudlet) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = (*_bearer(little), ("x-request-id", "mine"), ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"))
    async with _raw_channel(little) as channel:
        call = pb_grpc.FlavorServiceStub(channel).GetFlavor(pb.GetFlavorRequest(id=ids.new()), metadata=sent)
        await call
        trailers = dict(await call.trailing_metadata())
    assert (trailers["weft-trace-id"], trailers["weft-request-id"]) == (trace_id, "mine")


async def test_a_call_past_its_deadline_is_cancelled_on_the_server(little: Cloudlet) -> None:
    cancelled = asyncio.Event()

    async def slow(request: Any) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    little.flavors.get = slow
    async with little.client(little.signer.token()) as client:
        with pytest.raises(CloudError) as caught:
            await client.stub(pb_grpc.FlavorServiceStub).GetFlavor(
                pb.GetFlavorRequest(id=ids.new()), timeout=0.3
            )
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    async with asyncio.timeout(5):
        await cancelled.wait()


async def test_an_idempotent_call_is_repeated_while_the_service_is_unavailable(little: Cloudlet) -> None:
    tries: list[int] = []

    def flaky(request: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise CloudError("UNAVAILABLE", "not now")
        return resources_pb2.Flavor(id=request.id)

    little.flavors.get = flaky
    await little.get_flavor(little.signer.token())
    assert len(tries) == 3


@pytest.mark.parametrize(("request_id", "times"), [("", 1), (ids.new(), 4)])
async def test_a_mutation_is_repeated_only_when_it_carries_a_request_id(
    little: Cloudlet, request_id: str, times: int
) -> None:
    tries: list[int] = []

    def create(request: Any) -> Any:
        tries.append(1)
        raise CloudError("UNAVAILABLE", "not now")

    little.flavors.create = create
    request = pb.CreateFlavorRequest(name="small", vcpus=1, memory_mib=64, request_id=request_id)
    async with little.client(little.signer.token(scp="system", prj=None, rol=["admin"])) as client:
        with pytest.raises(CloudError) as caught:
            await client.stub(pb_grpc.FlavorServiceStub).CreateFlavor(request)
    assert caught.value.reason == "UNAVAILABLE"
    assert len(tries) == times


async def test_a_service_of_an_older_version_is_away_for_what_it_does_not_know(
    little: Cloudlet,
) -> None:
    stub = little.runtimes["identity"].peers.stub(key_pair_service_pb2_grpc.KeyPairServiceStub, "compute")
    with pytest.raises(CloudError) as older:
        await stub.ListKeyPairs(key_pair_service_pb2.ListKeyPairsRequest())
    assert (older.value.reason, older.value.retryable) == ("UNAVAILABLE", True)
    assert "older version" in older.value.message
    async with little.client(little.signer.token()) as person:
        stub = person.stub(key_pair_service_pb2_grpc.KeyPairServiceStub)
        with pytest.raises(CloudError) as unknown:
            await stub.ListKeyPairs(key_pair_service_pb2.ListKeyPairsRequest())
    assert not unknown.value.retryable


async def test_a_part_that_serves_an_rpc_without_an_access_rule_does_not_start(cloud: Settings) -> None:
    def build(runtime: Runtime) -> Service:
        servicer = otlp_grpc.TraceServiceServicer()
        return Service([(otlp_grpc.add_TraceServiceServicer_to_server, servicer)])

    with pytest.raises(access.RuleMissing):
        async with server.running(cloud, [Part("telemetry", build)]):
            pytest.fail("it started")


async def test_a_port_in_use_is_said_in_one_sentence(little: Cloudlet) -> None:
    def build(runtime: Runtime) -> Service:
        return Service([(pb_grpc.add_FlavorServiceServicer_to_server, little.flavors)])

    with pytest.raises(PortInUse, match=r"cannot listen on 127\.0\.0\.1:\d+"):
        async with server.running(little.settings, [Part("compute", build)]):
            pytest.fail("it started")


async def test_every_service_says_that_it_is_well(little: Cloudlet) -> None:
    async with little.client() as client:
        stub = client.stub(health_pb2_grpc.HealthStub)
        for name in ("", "weft.compute.v1.FlavorService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_service_answers_on_its_unix_socket_too(little: Cloudlet) -> None:
    listen = little.runtimes["compute"].service.listen
    socket = next((address for address in listen if address.startswith("unix:")), None)
    if socket is None:
        pytest.skip("the temporary directory's path is too long for a unix socket")
    leaf = little.authority.issue(Identity.gateway())
    ca, name = little.authority.directory / "ca.crt", Identity.service("compute").dns
    async with connect(socket, ca, little.signer.token(), leaf=leaf, server_name=name) as client:
        id = ids.new()
        assert (await client.stub(pb_grpc.FlavorServiceStub).GetFlavor(pb.GetFlavorRequest(id=id))).id == id


async def test_a_call_in_flight_is_finished_when_the_service_stops(cloud: Settings) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        begun.set()
        await go_on.wait()
        return resources_pb2.Flavor(id=request.id, name="finished")

    async with cloudlet(cloud) as little:
        little.flavors.get = slow
        token = little.signer.token()
        call = asyncio.create_task(little.get_flavor(token))
        await begun.wait()
        asyncio.get_running_loop().call_later(0.3, go_on.set)
    assert (await call).name == "finished"


async def test_who_watches_is_told_at_once_that_the_service_stops(cloud: Settings) -> None:
    async with cloudlet(cloud) as little:
        leaf = little.authority.issue(Identity.node(ids.new()))
        ca, name = little.authority.directory / "ca.crt", Identity.service("identity").dns
        client = connect(cloud.address("identity"), ca, leaf=leaf, server_name=name)
        watch = client.stub(key_grpc.KeyServiceStub).WatchRevocations(key_pb.WatchRevocationsRequest())
        assert (await anext(watch)).caught_up
        told = asyncio.create_task(anext(watch))
    with pytest.raises(CloudError, match="The service stops") as caught:
        await told
    assert caught.value.reason == "UNAVAILABLE"
    await client.close()


def _bearer(little: Cloudlet) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {little.signer.token()}"),)


def _raw_channel(little: Cloudlet) -> aio.Channel:
    pair = little.authority.issue(Identity.gateway()).pair()
    credentials = certificates.channel_credentials(little.authority.ca_pem, pair)
    options = (("grpc.ssl_target_name_override", "compute.weft.internal"),)
    return aio.secure_channel(little.settings.address("compute"), credentials, options=options)


def test_a_process_that_ends_drains_all_its_services_within_one_time() -> None:
    now = 100.0
    drain = serving.Drain(lambda: now)
    assert drain.left() == serving.DRAIN
    now += 4
    assert drain.left() == serving.DRAIN - 4
    assert drain.last_words() == serving.LAST_WORDS
    now += serving.LAST_WORDS
    assert drain.last_words() == 0
    now += serving.DRAIN
    assert drain.left() == 0
