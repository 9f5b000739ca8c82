"""Errors, masks, access rules, reverts, sweeps: what needs no process to be tried."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc import aio

from mesh import access, contract, errors, masks
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from mesh.reconcile import Sweep
from mesh.revert import Revert
from weft.compute.v1 import resources_pb2
from weft.errors.v1 import reason_pb2
from weft.options.v1 import access_pb2

REASONS = [
    value.name.removeprefix("REASON_") for value in reason_pb2.Reason.DESCRIPTOR.values if value.number
]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_survives_the_way_to_a_caller(reason: str) -> None:
    sent = CloudError(
        reason, "what happened", fields={"a.b": "wrong"}, retry_after=1.5, resource_type="server", id="1"
    )
    status = errors.to_status(sent, "trace")
    got = errors.from_status(status)
    assert (got.reason, got.message, got.metadata, got.fields) == (
        reason,
        sent.message,
        sent.metadata,
        sent.fields,
    )
    assert (got.retry_after, got.code, got.retryable) == (1.5, sent.code, sent.retryable)
    assert sum(d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR) for d in status.details) == 1
    assert errors.to_problem(sent, "trace")["status"] == sent.http_status >= 400


def test_a_reason_that_the_contract_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="OUT_OF_CHEESE"):
        CloudError("OUT_OF_CHEESE", "sorry")


def test_the_details_fit_the_error() -> None:
    status = errors.to_status(errors.wrong_status("server", "1", "BUILD", ["ACTIVE", "SHUTOFF"]))
    kinds = {detail.TypeName().rpartition(".")[2] for detail in status.details}
    assert kinds == {"ErrorInfo", "PreconditionFailure", "ResourceInfo"}
    assert errors.not_found("server", "1").code is grpc.StatusCode.NOT_FOUND


def failed_call(code: grpc.StatusCode, details: str) -> aio.AioRpcError:
    return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), details)


def test_an_answer_that_breaks_off_is_one_that_nobody_gave() -> None:
    reset = "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))"
    broken_off = errors.from_rpc_error(failed_call(grpc.StatusCode.INTERNAL, reset))
    assert (broken_off.reason, broken_off.retryable) == ("UNAVAILABLE", True)
    assert errors.from_rpc_error(failed_call(grpc.StatusCode.INTERNAL, "a defect")).reason == "INTERNAL"


FLAVOR = resources_pb2.Flavor(name="small", vcpus=2)


def test_a_mask_picks_what_is_changed_and_to_what() -> None:
    allowed = {"name": ..., "vcpus": lambda value: value * 10, "description": ...}
    assert masks.apply(FieldMask(paths=["vcpus"]), FLAVOR, allowed) == {"vcpus": 20}
    assert masks.apply(FieldMask(), FLAVOR, allowed) == {"name": "small", "vcpus": 20}
    assert set(masks.apply(FieldMask(paths=["*"]), FLAVOR, allowed)) == set(allowed)
    assert masks.apply(FieldMask(paths=["description"]), FLAVOR, allowed) == {"description": ""}


def test_a_mask_with_paths_that_may_not_be_changed_names_them_all() -> None:
    with pytest.raises(CloudError) as caught:
        masks.apply(FieldMask(paths=["id", "name", "nonsense"]), FLAVOR, {"name": ...})
    assert set(caught.value.fields) == {"update_mask.id", "update_mask.nonsense"}


def rule(**parts: Any) -> access.Rule:
    return access.compile_rule("/x/Y", access_pb2.Access(permission="x.y", **parts))


def user(scope: str, *roles: str) -> Caller:
    return Caller(kind=Kind.USER, user_id="u", project_id="p", scope=scope, roles=frozenset(roles))


MEMBERS = {
    "audience": access_pb2.AUDIENCE_USER,
    "scope": access_pb2.SCOPE_PROJECT,
    "role": access_pb2.ROLE_MEMBER,
}
SERVICES = {"audience": access_pb2.AUDIENCE_SERVICE}
NODES = {"audience": access_pb2.AUDIENCE_NODE}
EVERYBODY = {"audience": access_pb2.AUDIENCE_PUBLIC}
OPERATORS = {**MEMBERS, "scope": access_pb2.SCOPE_SYSTEM, "role": access_pb2.ROLE_ADMIN}
SERVICE, NODE = Caller(kind=Kind.SERVICE, service="network"), Caller(kind=Kind.NODE, host_id="h")


@pytest.mark.parametrize(
    ("wanted", "who", "reason"),
    [
        (MEMBERS, user("project", "member"), None),
        (MEMBERS, user("project", "manager"), None),
        (MEMBERS, user("system", "admin"), None),
        (MEMBERS, user("project", "reader"), "PERMISSION_DENIED"),
        (MEMBERS, user("project"), "PERMISSION_DENIED"),
        (MEMBERS, user("project", "owner", "root"), "PERMISSION_DENIED"),
        (MEMBERS, user("domain", "admin"), "PERMISSION_DENIED"),
        (MEMBERS, user("none", "admin"), "PERMISSION_DENIED"),
        (MEMBERS, Caller(), "UNAUTHENTICATED"),
        (MEMBERS, NODE, "AUDIENCE_REFUSED"),
        (MEMBERS, SERVICE, None),
        (OPERATORS, user("system", "admin"), None),
        (OPERATORS, user("system", "reader"), "PERMISSION_DENIED"),
        (OPERATORS, user("project", "admin"), "PERMISSION_DENIED"),
        (SERVICES, SERVICE, None),
        (SERVICES, user("system", "admin"), "AUDIENCE_REFUSED"),
        (SERVICES, NODE, "AUDIENCE_REFUSED"),
        (NODES, NODE, None),
        (NODES, SERVICE, None),
        (NODES, user("system", "admin"), "AUDIENCE_REFUSED"),
        (EVERYBODY, Caller(), None),
    ],
)
def test_only_who_may_gets_through(wanted: dict[str, Any], who: Caller, reason: str | None) -> None:
    if reason is None:
        rule(**wanted)(who)
        return
    with pytest.raises(CloudError) as caught:
        rule(**wanted)(who)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "parts",
    [
        None,
        {},
        {"audience": access_pb2.AUDIENCE_USER},
        {"audience": access_pb2.AUDIENCE_USER, "scope": access_pb2.SCOPE_PROJECT},
    ],
)
def test_a_rule_that_could_let_somebody_in_by_omission_is_refused(parts: dict[str, Any] | None) -> None:
    with pytest.raises(access.RuleMissing):
        access.compile_rule("/x/Y", None if parts is None else access_pb2.Access(**parts))


def test_every_rpc_of_every_contract_has_a_complete_rule() -> None:
    names = ("compute.v1.ServerService", "network.v1.PortService", "identity.v1.TokenService")
    found = [method for name in names for method in contract.methods(f"weft.{name}")]
    assert len(found) > 10
    for method in found:
        access.compile_rule(method.path, method.access)


def test_a_refusal_is_explained_check_by_check() -> None:
    method = contract.method("/weft.compute.v1.ServerService/CreateServer")
    assert access.explain(method, user("project", "member"))[-1] == "Allowed."
    refused = access.explain(method, user("project", "reader"))
    assert refused[-1] == "Refused: PERMISSION_DENIED."
    assert "By contract: roles member or manager or admin; scopes project or system." in refused


async def test_a_revert_undoes_in_reverse_unless_all_went_well() -> None:
    done: list[str] = []

    async def later(name: str) -> None:
        done.append(name)

    def broken() -> None:
        raise RuntimeError("this one fails")

    async with Revert() as revert:
        revert.add(later, "first")
        revert.add(broken)
        revert.add(done.append, "last")
    assert done == ["last", "first"]
    with Revert() as revert:
        revert.add(done.append, "never")
        revert.success()
    assert done == ["last", "first"]


async def test_a_sweep_goes_on_after_a_failure_and_runs_at_once_when_nudged() -> None:
    rounds: list[int] = []
    again = asyncio.Event()

    async def work() -> None:
        rounds.append(1)
        again.set()
        raise RuntimeError("a bad round")

    sweep = Sweep("test", 3600, work)
    task = asyncio.create_task(sweep.run())
    for expected in (1, 2, 3):
        async with asyncio.timeout(5):
            await again.wait()
        again.clear()
        assert len(rounds) == expected
        sweep.nudge()
    task.cancel()
