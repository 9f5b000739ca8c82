"""Reads descriptor sets: every message, enum and method by its full name, with its comment."""

from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb

# Field numbers in descriptor.proto, from which SourceCodeInfo paths are made.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM = 2, 3, 4
ENUM_VALUE, SERVICE_METHOD = 2, 2

Path_ = tuple[int, ...]


@dataclass(frozen=True)
class Method:
    """One RPC, and where it stands."""

    service: str
    descriptor: pb.MethodDescriptorProto
    comment: str


@dataclass
class Contracts:
    """The contracts of a descriptor set. Keys are full names with their leading dot, as fields use them."""

    messages: dict[str, pb.DescriptorProto] = field(default_factory=dict)
    enums: dict[str, pb.EnumDescriptorProto] = field(default_factory=dict)
    methods: list[Method] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


def with_comments_only(files: pb.FileDescriptorSet) -> pb.FileDescriptorSet:
    """Drops the source positions that hold no comment of ours: nine tenths of a set made with them."""
    for file in files.file:
        kept = [
            pb.SourceCodeInfo.Location(
                path=place.path,
                span=place.span,
                leading_comments=place.leading_comments or place.trailing_comments,
            )
            for place in file.source_code_info.location
            if place.leading_comments or place.trailing_comments
        ]
        file.ClearField("source_code_info")
        if file.package.startswith("weft."):
            file.source_code_info.location.extend(kept)
    return files


def load(path: Path) -> Contracts:
    """Reads a descriptor set with its options; the modules of the options must be importable."""
    from google.api import annotations_pb2  # noqa: F401

    from buf.validate import validate_pb2  # noqa: F401  registers the extension
    from weft.options.v1 import access_pb2  # noqa: F401

    contracts = Contracts()
    for file in pb.FileDescriptorSet.FromString(path.read_bytes()).file:
        _Reader(contracts, file).read()
    return contracts


class _Reader:
    """Walks one file, keeping the path that SourceCodeInfo names things by."""

    def __init__(self, contracts: Contracts, file: pb.FileDescriptorProto) -> None:
        self.contracts, self.file = contracts, file
        self.places = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}

    def read(self) -> None:
        scope = f".{self.file.package}"
        for index, message in enumerate(self.file.message_type):
            self._message(scope, message, (FILE_MESSAGE, index))
        for index, enum in enumerate(self.file.enum_type):
            self._enum(scope, enum, (FILE_ENUM, index))
        for index, service in enumerate(self.file.service):
            self._service(scope, service, (FILE_SERVICE, index))

    def _message(self, scope: str, message: pb.DescriptorProto, path: Path_) -> None:
        name = f"{scope}.{message.name}"
        self.contracts.messages[name] = message
        self._comment(name, path)
        for index, each in enumerate(message.field):
            self._comment(f"{name}.{each.name}", (*path, MESSAGE_FIELD, index))
        for index, nested in enumerate(message.nested_type):
            self._message(name, nested, (*path, MESSAGE_NESTED, index))
        for index, enum in enumerate(message.enum_type):
            self._enum(name, enum, (*path, MESSAGE_ENUM, index))

    def _enum(self, scope: str, enum: pb.EnumDescriptorProto, path: Path_) -> None:
        name = f"{scope}.{enum.name}"
        self.contracts.enums[name] = enum
        self._comment(name, path)
        for index, value in enumerate(enum.value):
            self._comment(f"{name}.{value.name}", (*path, ENUM_VALUE, index))

    def _service(self, scope: str, service: pb.ServiceDescriptorProto, path: Path_) -> None:
        name = f"{scope}.{service.name}"
        self._comment(name, path)
        for index, method in enumerate(service.method):
            comment = self._comment(f"{name}.{method.name}", (*path, SERVICE_METHOD, index))
            self.contracts.methods.append(Method(name, method, comment))

    def _comment(self, name: str, path: Path_) -> str:
        text = "\n".join(line.strip() for line in self.places.get(path, "").strip().splitlines())
        self.contracts.comments[name] = text
        return text
