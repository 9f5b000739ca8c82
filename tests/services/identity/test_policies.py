"""Policies: documents that are kept for the programs that read them, and that nothing here goes by."""

import pytest

from mesh import ids
from services.identity.store import policies as store
from tests.services.identity.conftest import Cloud, Person
from tests.services.identity.test_login import reason
from weft.identity.v1 import policy_service_pb2 as pb
from weft.identity.v1.policy_service_pb2_grpc import PolicyServiceStub

LIST = pb.ListPoliciesRequest()


def policies(person: Person) -> PolicyServiceStub:
    """The policies as this person sees them."""
    return person.client.stub(PolicyServiceStub)


async def kept(person: Person, blob: str, type: str = "application/json", **more) -> pb.Policy:
    """A new policy."""
    return await policies(person).CreatePolicy(pb.CreatePolicyRequest(type=type, blob=blob, **more))


async def changed(person: Person, id: str, **more) -> pb.Policy:
    """A policy with some of it put otherwise."""
    request = pb.UpdatePolicyRequest(id=id, expected_revision=more.pop("at", 0), policy=pb.Policy(**more))
    return await policies(person).UpdatePolicy(request)


async def test_a_document_is_kept_changed_listed_and_deleted(
    either: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, request_id = await either.admin(), ids.new()
    made = await kept(admin, '{"get": "everybody"}', request_id=request_id)
    assert await kept(admin, '{"get": "everybody"}', request_id=request_id) == made
    other = await kept(admin, "allow", "text/plain")
    newer = await changed(admin, made.id, type="text/x", at=1)
    assert (newer.type, newer.blob, newer.revision) == ("text/x", made.blob, 2)
    assert await policies(admin).GetPolicy(pb.GetPolicyRequest(id=made.id)) == newer
    assert await reason(changed(admin, made.id, blob="?", at=1)) == "REVISION_MISMATCH"
    assert list((await policies(admin).ListPolicies(LIST)).policies) == [newer, other]
    of_type = pb.ListPoliciesRequest(type="text/plain")
    assert list((await policies(admin).ListPolicies(of_type)).policies) == [other]
    monkeypatch.setattr(store, "MOST", 2)
    assert await reason(kept(admin, "one too many")) == "QUOTA_EXCEEDED"
    await policies(admin).DeletePolicy(pb.DeletePolicyRequest(id=made.id))
    for call in (
        changed(admin, made.id, blob="?"),
        policies(admin).GetPolicy(pb.GetPolicyRequest(id=made.id)),
    ):
        assert await reason(call) == "NOT_FOUND"
    assert list((await policies(admin).ListPolicies(LIST)).policies) == [other]


async def test_who_administers_no_system_neither_keeps_nor_sees_any(world: Cloud) -> None:
    (ann, _), admin = await world.member("ann", "admin"), await world.admin()
    made = await kept(admin, "allow")
    end = pb.DeletePolicyRequest(id=made.id)
    for call in (
        kept(ann, "x"),
        changed(ann, made.id, blob="x"),
        policies(ann).GetPolicy(pb.GetPolicyRequest(id=made.id)),
        policies(ann).ListPolicies(LIST),
        policies(ann).DeletePolicy(end),
    ):
        assert await reason(call) == "PERMISSION_DENIED"
    empty = pb.UpdatePolicyRequest(id=made.id, policy=pb.Policy(), update_mask={"paths": ["blob"]})
    assert await reason(policies(admin).UpdatePolicy(empty)) == "INVALID_ARGUMENT"
    assert list((await policies(admin).ListPolicies(LIST)).policies) == [made]
