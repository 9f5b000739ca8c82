"""Key pairs: each user's own."""

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from mesh import ids
from mesh.errors import CloudError
from services.compute import ssh_keys
from tests.services.compute.cloud import Cloud
from weft.compute.v1.key_pair_service_pb2 import (
    CreateKeyPairRequest,
    DeleteKeyPairRequest,
    GetKeyPairRequest,
    ListKeyPairsRequest,
)

# Made once by ssh-keygen; `ssh-keygen -E md5 -lf` says the fingerprint.
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOqfwGsNB6OYHlSfDT0SPFlB1kMmC5rSyXZK9cpnqPmE someone"


async def test_a_generated_private_key_is_told_once(compute: Cloud) -> None:
    request = CreateKeyPairRequest(name="mine", request_id=ids.new())
    made = await compute.member.keys.CreateKeyPair(request)
    private = load_ssh_private_key(made.private_key.encode(), None)
    assert made.public_key.startswith("ssh-ed25519 ")
    assert private.public_key() is not None
    assert made.fingerprint == ssh_keys.fingerprint(made.public_key)
    again = await compute.member.keys.CreateKeyPair(request)
    assert (again.public_key, again.private_key) == (made.public_key, "")
    assert (await compute.member.keys.GetKeyPair(GetKeyPairRequest(name="mine"))).private_key == ""


async def test_a_public_key_is_kept_on_one_line(compute: Cloud) -> None:
    request = CreateKeyPairRequest(name="mine", public_key=f"  {_KEY}\n")
    made = await compute.member.keys.CreateKeyPair(request)
    assert (made.public_key, made.private_key) == (_KEY, "")
    assert len(made.fingerprint.split(":")) == 16


async def test_what_is_no_public_key_is_refused(compute: Cloud) -> None:
    for text in (
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOqfwGsNB6OYHlSfDT0SPFlB1kMmC5rSyXZK9cpnqPmE",
        f"{_KEY}\n{_KEY}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 AAAA",
    ):
        with pytest.raises(CloudError) as refused:
            await compute.member.keys.CreateKeyPair(CreateKeyPairRequest(name="bad", public_key=text))
        assert refused.value.reason == "INVALID_ARGUMENT"
        assert "public_key" in refused.value.fields


async def test_each_user_has_their_own(compute: Cloud) -> None:
    for user in (compute.member, compute.stranger):
        await user.keys.CreateKeyPair(CreateKeyPairRequest(name="same"))
    await compute.member.keys.DeleteKeyPair(DeleteKeyPairRequest(name="same"))
    with pytest.raises(CloudError) as gone:
        await compute.member.keys.GetKeyPair(GetKeyPairRequest(name="same"))
    assert gone.value.reason == "NOT_FOUND"
    listed = await compute.stranger.keys.ListKeyPairs(ListKeyPairsRequest())
    assert [key.name for key in listed.key_pairs] == ["same"]
    with pytest.raises(CloudError) as taken:
        await compute.stranger.keys.CreateKeyPair(CreateKeyPairRequest(name="same"))
    assert taken.value.reason == "ALREADY_EXISTS"


async def test_a_server_keeps_the_key_that_it_was_made_with(compute: Cloud) -> None:
    await compute.member.keys.CreateKeyPair(CreateKeyPairRequest(name="mine", public_key=_KEY))
    made = await compute.member.boot(**compute.wish, key_name="mine")
    assert compute.host_of(made).metadata(made.id).public_keys == {"mine": _KEY}
    await compute.member.keys.DeleteKeyPair(DeleteKeyPairRequest(name="mine"))
    assert (await compute.member.get(made.id)).key_name == "mine"
    with pytest.raises(CloudError) as unknown:
        await compute.member.boot(**compute.wish, key_name="mine")
    assert unknown.value.reason == "NOT_FOUND"
