"""The contracts as the command line sees them: resources, their verbs, and the fields of each request.

Read from the descriptor set with its comments; nothing here knows any one service.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb

from buf.validate import validate_pb2
from cli import nouns
from weft.options.v1 import access_pb2

# Who may call from a command line; the others are known by certificate, not by token.
_AUDIENCES = {access_pb2.AUDIENCE_USER, access_pb2.AUDIENCE_PUBLIC}
_MESSAGE, _SERVICE, _FIELD, _METHOD = 4, 6, 2, 2  # paths of SourceCodeInfo, numbered in descriptor.proto
_KINDS = {
    pb.FieldDescriptorProto.TYPE_STRING: "text",
    pb.FieldDescriptorProto.TYPE_BYTES: "bytes",
    pb.FieldDescriptorProto.TYPE_BOOL: "bool",
    pb.FieldDescriptorProto.TYPE_DOUBLE: "float",
    pb.FieldDescriptorProto.TYPE_FLOAT: "float",
    pb.FieldDescriptorProto.TYPE_ENUM: "enum",
    pb.FieldDescriptorProto.TYPE_MESSAGE: "message",
}
_KNOWN = {
    ".google.protobuf.Duration": "duration",
    ".google.protobuf.Timestamp": "time",
    ".google.protobuf.FieldMask": "mask",
}


@dataclass(frozen=True)
class Field:
    """A field of a message.

    `kind` is text, bytes, bool, int, float, enum, duration, time, mask, map or message; `choices` are an
    enum's values without their prefix; `message` is the full name of a message's or enum's type. `required`:
    the contract refuses the field's absence; `optional`: its absence means something else than zero.
    """

    name: str
    kind: str
    repeated: bool
    required: bool
    optional: bool
    oneof: str
    secret: bool
    help: str
    message: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verb:
    """One RPC as a command: `weft <resource> <name>`. `path` is what gRPC calls it by."""

    resource: str
    name: str
    rpc: str
    package: str
    service: str
    module: str
    help: str
    input: str
    output: str
    takes_stream: bool
    gives_stream: bool
    idempotent: bool
    permission: str
    contracts: "Contracts" = field(repr=False, compare=False)

    @property
    def path(self) -> str:
        """`/weft.compute.v1.ServerService/GetServer`."""
        return f"/{self.package}.{self.service}/{self.rpc}"

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of its request."""
        return self.contracts.fields(self.input)

    @cached_property
    def items(self) -> str:
        """The field of the answer that holds the page's items; empty where the answer is no page."""
        answer = self.contracts.fields(self.output)
        if "next_page_token" not in {f.name for f in answer}:
            return ""
        return next(f.name for f in answer if f.repeated)


class Contracts:
    """All messages and verbs of a descriptor set."""

    def __init__(self, files: pb.FileDescriptorSet) -> None:
        self._messages: dict[str, tuple[pb.FileDescriptorProto, tuple[int, ...], pb.DescriptorProto]] = {}
        self._enums: dict[str, pb.EnumDescriptorProto] = {}
        self._files = [file for file in files.file if file.package.startswith("weft.")]
        for file in files.file:
            self._index(file)

    def _index(self, file: pb.FileDescriptorProto) -> None:
        for enum in file.enum_type:
            self._enums[f".{file.package}.{enum.name}"] = enum
        for number, message in enumerate(file.message_type):
            name = f".{file.package}.{message.name}"
            self._messages[name] = (file, (_MESSAGE, number), message)
            for nested in message.nested_type:
                self._messages[f"{name}.{nested.name}"] = (file, (), nested)

    @cached_property
    def verbs(self) -> dict[str, dict[str, Verb]]:
        """Commands by resource and name, for callers with a token. Long-running work is left out."""
        found: dict[str, dict[str, Verb]] = {}
        for verb in self._every_verb():
            found.setdefault(verb.resource, {})[verb.name] = verb
        return found

    def _every_verb(self) -> Iterator[Verb]:
        for file in self._files:
            for at, service in enumerate(file.service):
                if service.name == "OperationService":
                    continue
                rpcs = {method.name for method in service.method}
                for number, method in enumerate(service.method):
                    if method.options.Extensions[access_pb2.access].audience in _AUDIENCES:
                        resource, name = nouns.command(service.name, method.name, rpcs)
                        help = _comments(file).get((_SERVICE, at, _METHOD, number), "")
                        yield self._verb(file, service.name, method, resource, name, help)

    def _verb(
        self, file: pb.FileDescriptorProto, service: str, method: pb.MethodDescriptorProto,
        resource: str, name: str, help: str,
    ) -> Verb:  # fmt: skip
        return Verb(
            resource=resource, name=name, rpc=method.name, package=file.package, service=service,
            module=file.name.removesuffix(".proto").replace("/", ".") + "_pb2_grpc",
            help=help, input=method.input_type, output=method.output_type,
            takes_stream=method.client_streaming, gives_stream=method.server_streaming,
            idempotent=bool(method.options.idempotency_level),
            permission=method.options.Extensions[access_pb2.access].permission, contracts=self,
        )  # fmt: skip

    @cache  # noqa: B019 - there is one set of contracts in a process
    def fields(self, message: str) -> tuple[Field, ...]:
        """The fields of a message by its full name with a leading dot."""
        file, path, found = self._messages[message]
        comments = _comments(file)
        return tuple(
            self._field(found, given, comments.get((*path, _FIELD, number), ""))
            for number, given in enumerate(found.field)
        )

    def _field(self, message: pb.DescriptorProto, given: pb.FieldDescriptorProto, help: str) -> Field:
        kind = _KINDS.get(given.type, "int")
        type_name = given.type_name if kind in ("message", "enum") else ""
        if kind == "message":
            kind = "map" if self._is_map(type_name) else _KNOWN.get(type_name, "message")
        oneof = ""
        if given.HasField("oneof_index") and not given.proto3_optional:
            oneof = message.oneof_decl[given.oneof_index].name
        return Field(
            name=given.name,
            kind=kind,
            repeated=given.label == pb.FieldDescriptorProto.LABEL_REPEATED and kind != "map",
            required=not oneof and _required(given.options.Extensions[validate_pb2.field]),
            optional=given.proto3_optional,
            oneof=oneof,
            secret=given.options.debug_redact,
            help=help,
            message=type_name,
            choices=self._choices(type_name) if kind == "enum" else (),
        )

    def _is_map(self, message: str) -> bool:
        return message in self._messages and self._messages[message][2].options.map_entry

    def _choices(self, enum: str) -> tuple[str, ...]:
        prefix = nouns.enum_prefix(enum.rpartition(".")[2])
        return tuple(value.name.removeprefix(prefix) for value in self._enums[enum].value if value.number)


def _required(rules: validate_pb2.FieldRules) -> bool:
    """Whether the rules of a field refuse that it is not given."""
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    text = rules.string
    shaped = text.uuid or text.ip or text.ip_prefix or text.min_len > 0 or not re.search(text.pattern, "")
    return rules.required or shaped or 0 in rules.enum.not_in or rules.int32.gte > 0


_read_comments: dict[str, dict[tuple[int, ...], str]] = {}


def _comments(file: pb.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comments of a file by the path of what they stand at, each on one line."""
    if file.name not in _read_comments:
        _read_comments[file.name] = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
        }
    return _read_comments[file.name]


@cache
def contracts() -> Contracts:
    """The contracts that came with this weft."""
    found = find_spec("weft.errors.v1")
    assert found is not None
    assert found.submodule_search_locations
    binpb = Path(next(iter(found.submodule_search_locations))).parents[2] / "weft.binpb"
    return Contracts(pb.FileDescriptorSet.FromString(binpb.read_bytes()))
