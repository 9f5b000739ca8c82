"""What CreateServer refuses before it promises anything."""

import asyncio
from typing import Any

import pytest

from mesh import ids
from mesh.errors import CloudError
from tests.services.compute.cloud import Cloud, User, status
from tests.services.compute.fakes.faults import away
from tests.services.harness import person
from weft.compute.v1.flavor_service_pb2 import CreateFlavorRequest, UpdateFlavorRequest
from weft.compute.v1.resources_pb2 import Flavor
from weft.compute.v1.server_service_pb2 import (
    CreateServerRequest,
    ListServersRequest,
    NetworkRequest,
    NewBootVolume,
    VolumeRequest,
)
from weft.identity.v1.limit_service_pb2 import LimitPool
from weft.image.v1.resources_pb2 import ImageStatus


async def refusal(compute: Cloud, **fields: Any) -> CloudError:
    """Why this is refused; nothing was made."""
    with pytest.raises(CloudError) as refused:
        await compute.member.servers.CreateServer(CreateServerRequest(**(compute.wish | fields)))
    listed = await compute.admin.servers.ListServers(ListServersRequest())
    assert list(listed.servers) == []
    return refused.value


async def test_the_same_request_without_a_fault_is_taken(compute: Cloud) -> None:
    group = compute.networks.add_group(compute.member.project_id, "web")
    volume = compute.block.add_volume(compute.member.project_id)
    made = await compute.member.boot(
        **compute.wish,
        networks=[NetworkRequest(network_id=compute.network.id, fixed_ip="10.0.0.77")],
        security_groups=["web", group.id],
        volumes=[VolumeRequest(volume_id=volume.id)],
    )
    assert list(made.ports[0].fixed_ips) == ["10.0.0.77"]
    assert list(compute.networks.ports[made.ports[0].port_id].security_group_ids) == [group.id]
    assert list(compute.host_of(made).metadata(made.id).security_groups) == ["web"]


async def test_unknown_things_are_not_found(compute: Cloud) -> None:
    unknown = ids.new()
    for fields, kind in (
        ({"flavor_id": unknown}, "flavor"),
        ({"image_id": unknown}, "image"),
        ({"key_name": "nobody's"}, "key_pair"),
        ({"networks": [NetworkRequest(network_id=unknown)]}, "network"),
        ({"networks": [NetworkRequest(port_id=unknown)]}, "port"),
        ({"volumes": [VolumeRequest(volume_id=unknown)]}, "volume"),
        ({"security_groups": ["nobody's"]}, "security_group"),
    ):
        error = await refusal(compute, **fields)
        assert (error.reason, error.metadata["resource_type"]) == ("NOT_FOUND", kind)


async def test_what_is_another_projects_is_not_found_either(compute: Cloud) -> None:
    project = compute.stranger.project_id
    network = compute.networks.add_network(project)
    group = compute.networks.add_group(project, "theirs")
    for fields in (
        {"image_id": compute.images.add_image(project).id},
        {"networks": [NetworkRequest(network_id=network.id)]},
        {"networks": [NetworkRequest(port_id=compute.networks.add_port(network).id)]},
        {"volumes": [VolumeRequest(volume_id=compute.block.add_volume(project).id)]},
        {"security_groups": [group.id]},
    ):
        assert (await refusal(compute, **fields)).reason == "NOT_FOUND"


async def test_an_image_must_be_active_and_fit_the_flavor(compute: Cloud) -> None:
    project = compute.member.project_id
    queued = compute.images.add_image(project, status=ImageStatus.IMAGE_STATUS_QUEUED)
    error = await refusal(compute, image_id=queued.id)
    assert (error.reason, error.metadata["status"]) == ("WRONG_STATUS", "QUEUED")
    for image in (
        compute.images.add_image(project, min_memory_mib=1024),
        compute.images.add_image(project, min_disk_gib=3),
        compute.images.add_image(project, virtual_size_bytes=(2 << 30) + 1),
    ):
        error = await refusal(compute, image_id=image.id)
        assert (error.reason, list(error.fields)) == ("INVALID_ARGUMENT", ["flavor_id"])


async def test_a_disabled_flavor_takes_no_new_servers(compute: Cloud) -> None:
    new = Flavor(disabled=True)
    await compute.admin.flavors.UpdateFlavor(UpdateFlavorRequest(id=compute.flavor.id, flavor=new))
    assert (await refusal(compute)).reason == "INVALID_ARGUMENT"


async def test_a_boot_volume_must_be_bootable_and_free(compute: Cloud) -> None:
    plain = compute.block.add_volume(compute.member.project_id)
    wish = {"name": "db", "flavor_id": compute.flavor.id}
    with pytest.raises(CloudError, match="not bootable"):
        await compute.member.servers.CreateServer(CreateServerRequest(**wish, volume_id=plain.id))
    taken = compute.block.add_volume(compute.member.project_id, bootable=True)
    await compute.member.boot(**wish, volume_id=taken.id)
    with pytest.raises(CloudError) as refused:
        await compute.member.servers.CreateServer(CreateServerRequest(**wish, volume_id=taken.id))
    assert refused.value.metadata["status"] == "IN_USE"
    compute.block.fail("CreateVolume", CloudError("QUOTA_EXCEEDED", "No more volumes."))
    new = NewBootVolume(image_id=compute.image.id)
    with pytest.raises(CloudError, match="No more volumes"):
        await compute.member.servers.CreateServer(CreateServerRequest(**wish, new_volume=new))


async def test_networks_are_named_where_there_are_several(compute: Cloud) -> None:
    second = compute.networks.add_network(compute.member.project_id)
    error = await refusal(compute)
    assert (error.reason, list(error.fields)) == ("INVALID_ARGUMENT", ["networks"])
    taken = compute.networks.add_port(second, device_id=ids.new(), device_owner="compute")
    assert (await refusal(compute, networks=[NetworkRequest(port_id=taken.id)])).reason == "IN_USE"
    assert "either" in (await refusal(compute, networks=[NetworkRequest()])).message
    twice = [NetworkRequest(port_id=compute.networks.add_port(second).id)] * 2
    assert "twice" in (await refusal(compute, networks=twice)).message
    used = compute.networks.add_port(second).fixed_ips[0].ip_address
    wish = [NetworkRequest(network_id=second.id, fixed_ip=used)]
    assert (await refusal(compute, networks=wish)).reason == "ADDRESS_IN_USE"
    made = await compute.member.boot(**compute.wish, networks=[NetworkRequest(network_id=second.id)] * 2)
    assert [port.network_id for port in made.ports] == [second.id] * 2


async def test_a_project_without_a_network_uses_the_shared_one_or_none(compute: Cloud) -> None:
    del compute.networks.networks[compute.network.id]
    assert list((await compute.member.boot(**compute.wish)).ports) == []
    compute.networks.add_network(ids.new(), shared=True, external=True)
    assert list((await compute.member.boot(**compute.wish)).ports) == []
    shared = compute.networks.add_network(ids.new(), shared=True)
    assert (await compute.member.boot(**compute.wish)).ports[0].network_id == shared.id


async def test_a_group_name_that_two_groups_have_is_ambiguous(compute: Cloud) -> None:
    for _ in range(2):
        compute.networks.add_group(compute.member.project_id, "web")
    assert "2 groups" in (await refusal(compute, security_groups=["web"])).message


async def test_hostile_input_gets_a_typed_refusal(compute: Cloud) -> None:
    for fields in (
        {"name": ""},
        {"name": "x" * 10_000},
        {"flavor_id": "../../etc/passwd"},
        {"image_id": "' OR 1=1 --"},
        {"user_data": b"x" * (65536 + 1)},
        {"metadata": {"k": "v" * 256}},
        {"tags": ["same", "same"]},
        {"networks": [NetworkRequest(network_id=compute.network.id, fixed_ip="300.0.0.1")]},
    ):
        assert (await refusal(compute, **fields)).reason == "INVALID_ARGUMENT"


async def test_a_server_needs_a_project_and_the_host_an_administrator(compute: Cloud) -> None:
    with pytest.raises(CloudError, match="belongs to a project"):
        await compute.admin.servers.CreateServer(CreateServerRequest(**compute.wish))
    host_id = compute.nodes[1].id
    assert (await refusal(compute, host_id=host_id)).reason == "PERMISSION_DENIED"
    operator = User(compute, person(compute.member.project_id, "admin", "member", "reader"))
    made = await operator.boot(**compute.wish, host_id=host_id)
    assert made.host_id == host_id
    assert made.host_name == "beta"


async def test_a_rehearsal_says_what_would_be_and_makes_nothing(compute: Cloud) -> None:
    rehearsed = await compute.member.servers.CreateServer(
        CreateServerRequest(**compute.wish, validate_only=True)
    )
    assert rehearsed.name == "web"
    assert (await refusal(compute, flavor_id=ids.new(), validate_only=True)).reason == "NOT_FOUND"
    await compute.assert_consistent()


async def test_a_request_sent_ten_times_at_once_makes_one_server(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    volume = compute.block.add_volume(compute.member.project_id)
    volumes = [VolumeRequest(volume_id=volume.id)]
    request = CreateServerRequest(**compute.wish, volumes=volumes, request_id=ids.new())
    calls = (compute.member.servers.CreateServer(request) for _ in range(10))
    answers = await asyncio.gather(*calls)
    assert len({answer.id for answer in answers}) == 1
    await compute.member.settled(answers[0])
    # By now the volume is taken: checked again, the same request would be refused.
    assert (await compute.member.servers.CreateServer(request)).id == answers[0].id
    await compute.assert_consistent()


async def test_quota_is_counted_from_the_servers_that_are_there(compute_on_both: Cloud) -> None:
    compute = compute_on_both
    compute.house.limits.limits = {"servers": 5, "vcpus": 100, "memory_mib": -1}
    request = CreateServerRequest(**compute.wish)
    calls = (compute.member.servers.CreateServer(request) for _ in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CloudError)]
    assert len(refused) == 15
    error = refused[0]
    assert error.reason == "QUOTA_EXCEEDED"
    assert error.metadata == {"resource": "servers", "limit": "5", "used": "5", "requested": "1"}
    made = [answer for answer in answers if not isinstance(answer, CloudError)]
    for server in made:
        await compute.member.settled(server)
    await compute.assert_consistent()
    await compute.member.delete(made[0])
    await compute.member.boot(**compute.wish)
    image = compute.images.add_image(compute.stranger.project_id)
    theirs = await compute.stranger.boot(name="x", flavor_id=compute.flavor.id, image_id=image.id)
    assert status(theirs) == "ACTIVE"


async def test_servers_of_a_project_that_shares_the_limit_count_too(compute: Cloud) -> None:
    both = [compute.member.project_id, compute.stranger.project_id]
    pool = LimitPool(project_id=both[0], member_ids=both, limits=[{"resource": "servers", "limit": 2}])
    compute.house.limits.pools = [pool]
    image = compute.images.add_image(compute.stranger.project_id)
    await compute.stranger.boot(name="x", flavor_id=compute.flavor.id, image_id=image.id)
    await compute.member.boot(**compute.wish)
    with pytest.raises(CloudError) as refused:
        await compute.member.boot(**compute.wish)
    assert (refused.value.reason, refused.value.metadata["used"]) == ("QUOTA_EXCEEDED", "2")


async def test_vcpus_and_memory_are_limited_too(compute: Cloud) -> None:
    compute.house.limits.limits = {"servers": 10, "vcpus": 3, "memory_mib": 2048}
    wanted = CreateFlavorRequest(name="wide", vcpus=4, memory_mib=128)
    wide = await compute.admin.flavors.CreateFlavor(wanted)
    assert (await refusal(compute, flavor_id=wide.id)).metadata["resource"] == "vcpus"
    wanted = CreateFlavorRequest(name="tall", vcpus=1, memory_mib=4096)
    tall = await compute.admin.flavors.CreateFlavor(wanted)
    assert (await refusal(compute, flavor_id=tall.id)).metadata["resource"] == "memory_mib"


async def test_while_a_service_is_away_nothing_is_promised(compute: Cloud) -> None:
    compute.images.fail("GetImage", *[away()] * 4)
    error = await refusal(compute)
    assert (error.reason, error.retryable) == ("UNAVAILABLE", True)
