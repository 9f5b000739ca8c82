"""gRPC and gRPC-Web through the gateway, and what it lets nobody say."""

import asyncio
import struct
import time

import httpx
import pytest

from mesh import caller, channel
from mesh.caller import Caller, Kind
from mesh.certificates import Authority, Identity
from mesh.errors import CloudError
from tests.gateway.conftest import Cloud
from weft.identity.v1 import key_service_pb2, key_service_pb2_grpc
from weft.image.v1 import (
    image_service_pb2,
    image_service_pb2_grpc,
    transfer_service_pb2,
    transfer_service_pb2_grpc,
)
from weft.node.v1 import guest_service_pb2, guest_service_pb2_grpc

Images = image_service_pb2_grpc.ImageServiceStub
NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_grpc_client_needs_an_address_a_ca_file_and_a_token(cloud: Cloud) -> None:
    async with channel.connect(cloud.address, cloud.ca, cloud.login()) as client:
        images = client.stub(Images)
        request = image_service_pb2.CreateImageRequest(name="by gRPC", disk_format="DISK_FORMAT_RAW")
        made = await images.CreateImage(request)
        assert (await images.GetImage(image_service_pb2.GetImageRequest(id=made.id))).name == "by gRPC"
        with pytest.raises(CloudError) as caught:
            await images.GetImage(image_service_pb2.GetImageRequest(id=NOBODY))
    assert caught.value.reason == "NOT_FOUND"
    assert caught.value.metadata == {"resource_type": "image", "id": NOBODY}


async def test_an_upload_is_a_stream_of_chunks(cloud: Cloud) -> None:
    async with channel.connect(cloud.address, cloud.ca, cloud.login()) as client:
        images = client.stub(Images)
        request = image_service_pb2.CreateImageRequest(name="chunks", disk_format="DISK_FORMAT_RAW")
        made = await images.CreateImage(request)

        async def chunks():
            yield image_service_pb2.UploadImageRequest(id=made.id)
            for _ in range(8):
                chunk = image_service_pb2.UploadImageRequest()
                chunk.file.data = b"\1" * (1 << 20)
                yield chunk

        assert (await images.UploadImage(chunks())).size_bytes == 8 << 20


def test_a_browser_calls_by_grpc_web(cloud: Cloud) -> None:
    message = image_service_pb2.ListImagesRequest(page_size=1).SerializeToString()
    frame = struct.pack(">BI", 0, len(message)) + message
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    with cloud.client(cloud.login()) as client:
        answer = client.post("/weft.image.v1.ImageService/ListImages", content=frame, headers=headers)
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert b"grpc-status:0" in answer.content


async def test_rpcs_of_services_and_hosts_are_refused_to_people(cloud: Cloud) -> None:
    async with channel.connect(cloud.address, cloud.ca, cloud.login(system=True)) as client:
        fetch = transfer_service_pb2.FetchImageRequest(image_id=NOBODY, sha256="0" * 64)
        with pytest.raises(CloudError) as caught:
            _ = [
                part
                async for part in client.stub(transfer_service_pb2_grpc.TransferServiceStub).FetchImage(fetch)
            ]
        assert caught.value.reason == "AUDIENCE_REFUSED"
        check = key_service_pb2.CheckTokenRequest(token="x")
        with pytest.raises(CloudError) as caught:
            await client.stub(key_service_pb2_grpc.KeyServiceStub).CheckToken(check)
        assert caught.value.reason == "AUDIENCE_REFUSED"
        with pytest.raises(CloudError):
            await client.stub(guest_service_pb2_grpc.GuestServiceStub).ListGuests(
                guest_service_pb2.ListGuestsRequest()
            )


async def test_nobody_says_through_the_gateway_for_whom_a_call_is(cloud: Cloud) -> None:
    forged = Caller(kind=Kind.SERVICE, service="compute", user_id=NOBODY, project_id=NOBODY, scope="project")
    metadata = ((caller.METADATA_KEY, caller.encode(forged)),)
    request = image_service_pb2.ListImagesRequest()
    async with channel.connect(cloud.address, cloud.ca) as client:
        with pytest.raises(CloudError) as caught:
            await client.stub(Images).ListImages(request, metadata=metadata)
        assert caught.value.reason == "UNAUTHENTICATED"
    # The same words from a process with a service's certificate are believed: that is what they are for.
    authority = Authority.open_or_create(cloud.state / "pki")
    leaf = authority.issue(Identity.service("compute"))
    address = cloud.environ["WEFT_SERVICES__IMAGE__ADDRESS"]
    async with channel.connect(address, cloud.ca, leaf=leaf, server_name="image.weft.internal") as service:
        await service.stub(Images).ListImages(request, metadata=metadata)


async def test_a_caller_without_a_certificate_reaches_no_service_past_the_gateway(cloud: Cloud) -> None:
    address = cloud.environ["WEFT_SERVICES__IMAGE__ADDRESS"]
    async with channel.connect(address, cloud.ca, cloud.login(), server_name="image.weft.internal") as client:
        with pytest.raises(CloudError) as caught:
            await client.stub(Images).ListImages(image_service_pb2.ListImagesRequest(), timeout=3)
    assert caught.value.reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


async def test_a_host_is_refused_what_people_may(cloud: Cloud) -> None:
    authority = Authority.open_or_create(cloud.state / "pki")
    leaf = authority.issue(Identity.node(NOBODY))
    address = cloud.environ["WEFT_SERVICES__IMAGE__ADDRESS"]
    async with channel.connect(address, cloud.ca, leaf=leaf, server_name="image.weft.internal") as host:
        with pytest.raises(CloudError) as caught:
            await host.stub(Images).ListImages(image_service_pb2.ListImagesRequest())
    assert caught.value.reason == "AUDIENCE_REFUSED"


def test_a_trace_begun_by_the_caller_goes_on_through_gateway_identity_and_service(
    cloud: Cloud, member: httpx.Client
) -> None:
    trace_id = "5eed" * 8
    answer = member.get("/image/v1/images", headers={"traceparent": f"00-{trace_id}-{'1' * 16}-01"})
    assert answer.headers["x-trace-id"] == answer.headers["weft-trace-id"] == trace_id
    for _ in range(50):
        found = member.get(f"/telemetry/v1/traces/{trace_id}").json()
        if {"gateway", "image"} <= {span["service"] for span in found.get("spans", ())}:
            break
        time.sleep(0.2)
    by_service = {span["service"]: span for span in reversed(found["spans"])}  # the first of each
    assert by_service["gateway"]["parent_span_id"] == "1" * 16
    assert by_service["image"]["parent_span_id"] == by_service["gateway"]["span_id"]
    with cloud.client(cloud.member_of_a_new_project("another")) as other:
        assert other.get(f"/telemetry/v1/traces/{trace_id}").status_code == 404


async def test_many_calls_at_once_are_all_answered(cloud: Cloud) -> None:
    async with channel.connect(cloud.address, cloud.ca, cloud.login()) as client:
        images = client.stub(Images)
        calls = [images.ListImages(image_service_pb2.ListImagesRequest()) for _ in range(200)]
        assert len(await asyncio.gather(*calls)) == 200
