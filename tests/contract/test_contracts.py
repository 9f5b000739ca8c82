"""Every contract, walked: what each RPC, message and field must say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2 as pb

from buf.validate import validate_pb2
from gateway.edge.contracts import DESCRIPTORS, PACKAGES
from mesh import access
from weft.options.v1 import access_pb2

FILES = [
    file
    for file in pb.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    if file.package.startswith("weft.")
]
MESSAGES = {f".{file.package}.{message.name}": message for file in FILES for message in file.message_type}
READS = ("Get", "List", "Watch", "Follow", "Download", "Fetch", "Check")


def rpcs() -> Iterator[tuple[pb.FileDescriptorProto, pb.ServiceDescriptorProto, pb.MethodDescriptorProto]]:
    for file in FILES:
        for service in file.service:
            for method in service.method:
                yield file, service, method


RPCS = [pytest.param(*found, id=f"{found[1].name}/{found[2].name}") for found in rpcs()]


def comments(file: pb.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(place.path): place.leading_comments for place in file.source_code_info.location}


def fields(method: pb.MethodDescriptorProto) -> dict[str, pb.FieldDescriptorProto]:
    request = MESSAGES.get(method.input_type)
    return {field.name: field for field in request.field} if request else {}


def rules(field: pb.FieldDescriptorProto) -> validate_pb2.FieldRules:
    return field.options.Extensions[validate_pb2.field]


def changes_something(method: pb.MethodDescriptorProto) -> bool:
    return method.options.idempotency_level != pb.MethodOptions.NO_SIDE_EFFECTS


def test_the_walk_sees_the_contracts() -> None:
    assert {file.package.split(".")[1] for file in FILES} >= {*PACKAGES, "node", "operation", "errors"}
    assert len(RPCS) > 150


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_an_rpc_says_who_may_call_it(file, service, method) -> None:
    rule = method.options.Extensions[access_pb2.access]
    access.compile_rule(method.name, rule)
    package = file.package.split(".")[1]
    assert rule.permission.startswith(f"{package}.")
    assert rule.permission.count(".") == 2


def test_permissions_name_one_thing_each() -> None:
    named = [method.options.Extensions[access_pb2.access].permission for *_, method in rpcs()]
    assert sorted(named) == sorted(set(named))


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_an_rpc_has_a_rest_binding_or_says_why_not(file, service, method) -> None:
    position = (6, list(file.service).index(service), 2, list(service.method).index(method))
    comment = comments(file).get(position, "")
    assert comment.strip()
    rule = method.options.Extensions[access_pb2.access]
    if method.options.HasExtension(annotations_pb2.http):
        assert rule.audience in (access_pb2.AUDIENCE_PUBLIC, access_pb2.AUDIENCE_USER)
        binding = method.options.Extensions[annotations_pb2.http]
        path = getattr(binding, binding.WhichOneof("pattern"))
        assert path.startswith(f"/{file.package.split('.')[1]}/v1/")
    else:
        assert "No REST binding" in comment


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_what_reads_says_so_and_nothing_else_does(file, service, method) -> None:
    reads = method.name.startswith(READS) and method.name != "RegisterHost"
    assert changes_something(method) != reads or method.name in ("ListCandidates",)


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_what_people_change_can_be_repeated_safely(file, service, method) -> None:
    rule = method.options.Extensions[access_pb2.access]
    by_people = rule.audience == access_pb2.AUDIENCE_USER
    if not by_people or not changes_something(method) or method.client_streaming:
        return
    if method.name == "CancelOperation":  # cancelling twice is cancelling once
        return
    assert "request_id" in fields(method)
    assert rules(fields(method)["request_id"]).string.uuid


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_lists_are_paged_within_bounds(file, service, method) -> None:
    found = fields(method)
    if "page_size" not in found:
        return
    assert rules(found["page_size"]).int32.lte == 1000
    assert "page_token" in found
    assert "next_page_token" in {field.name for field in MESSAGES[method.output_type].field}


@pytest.mark.parametrize(("file", "service", "method"), RPCS)
def test_changes_of_a_resource_take_mask_and_revision(file, service, method) -> None:
    found = fields(method)
    if "update_mask" in found:
        assert "expected_revision" in found
        bounds = rules(found["id"]).string
        assert bounds.uuid or bounds.pattern  # a flavor has whatever id an operator chose
    if method.name.startswith("Delete") and "allow_missing" in found:
        assert "expected_revision" in found


def requests() -> set[str]:
    """Full names of all messages that come from outside, what they contain included."""
    seen: set[str] = set()
    waiting = [method.input_type for *_, method in rpcs()]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MESSAGES:
            continue
        seen.add(name)
        waiting += [field.type_name for field in MESSAGES[name].field if field.type_name]
    return seen


@pytest.mark.parametrize("name", sorted(requests()))
def test_every_text_that_comes_from_people_is_bounded(name: str) -> None:
    """In a request itself; a resource inside of one is bounded where it is read, or is output only."""
    if not name.endswith("Request"):
        return
    for field in MESSAGES[name].field:
        if field.type not in (field.TYPE_STRING, field.TYPE_BYTES):
            continue
        found = rules(field)
        assert found.WhichOneof("type"), f"{field.name} has no rule"


def elements(file: pb.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for i, message in enumerate(file.message_type):
        yield (4, i), message.name
        for j, field in enumerate(message.field):
            yield (4, i, 2, j), f"{message.name}.{field.name}"
    for i, enum in enumerate(file.enum_type):
        yield (5, i), enum.name
        for j, value in enumerate(enum.value):
            yield (5, i, 2, j), value.name
    for i, service in enumerate(file.service):
        yield (6, i), service.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_carries_a_comment(file: pb.FileDescriptorProto) -> None:
    said = comments(file)
    silent = [name for position, name in elements(file) if not said.get(position, "").strip()]
    assert silent == []


def test_secrets_are_marked_so_that_no_log_shows_them() -> None:
    secret = {"password", "original_password", "token", "private_key", "user_data"}
    secret |= {"secret", "totp_code", "receipt"}
    for name, message in MESSAGES.items():
        for field in message.field:
            if field.name in secret and field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                assert field.options.debug_redact, f"{name}.{field.name}"


def test_the_descriptor_set_is_the_one_beside_the_stubs() -> None:
    assert (DESCRIPTORS.parent / "openapi.json").exists()
    assert DESCRIPTORS.parent / "weft" == Path(access_pb2.__file__).parents[2]
