"""What the contracts say of each RPC, read from the descriptors once."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor, descriptor_pool, message_factory
from google.protobuf.message import Message

from weft.options.v1 import access_pb2

_IDEMPOTENT = {1, 2}  # MethodOptions.NO_SIDE_EFFECTS and IDEMPOTENT


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One RPC. `path` is `/weft.compute.v1.ServerService/GetServer`; `ours`: it is of a weft package."""

    path: str
    service: str
    name: str
    access: access_pb2.Access | None
    http: http_pb2.HttpRule | None
    request_type: type[Message]
    response_type: type[Message]
    client_streaming: bool
    server_streaming: bool
    reads: bool
    idempotent: bool
    has_request_id: bool
    ours: bool


class UnknownMethod(LookupError):
    """No contract says anything of the RPC."""


@cache
def method(path: str) -> Method:
    """The contract of an RPC by its path. Raises UnknownMethod."""
    service_name, _, name = path.removeprefix("/").partition("/")
    service = _service(service_name)
    if name not in service.methods_by_name:
        raise UnknownMethod(f"{service_name} has no RPC {name}")
    return _read(service.methods_by_name[name])


def methods(service_name: str) -> list[Method]:
    """Every RPC of a service by its full name, in the order of the contract. Raises UnknownMethod."""
    return [method(f"/{service_name}/{found.name}") for found in _service(service_name).methods]


def _service(name: str) -> descriptor.ServiceDescriptor:
    pool = descriptor_pool.Default()
    try:
        return pool.FindServiceByName(name)
    except KeyError:
        _load(name.rpartition(".")[0])
    try:
        return pool.FindServiceByName(name)
    except KeyError as error:
        raise UnknownMethod(f"there is no contract of {name}") from error


def _load(package: str) -> None:
    """Import every contract of a weft package: a service's stub alone may not import its own file."""
    if not package.startswith("weft."):
        return
    found = importlib.import_module(package)
    for module in pkgutil.iter_modules(found.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def _read(found: descriptor.MethodDescriptor) -> Method:
    options = found.GetOptions()
    service = found.containing_service
    return Method(
        path=f"/{service.full_name}/{found.name}",
        service=service.full_name,
        name=found.name,
        access=options.Extensions[access_pb2.access] if options.HasExtension(access_pb2.access) else None,
        http=options.Extensions[annotations_pb2.http] if options.HasExtension(annotations_pb2.http) else None,
        request_type=message_factory.GetMessageClass(found.input_type),
        response_type=message_factory.GetMessageClass(found.output_type),
        client_streaming=found.client_streaming,
        server_streaming=found.server_streaming,
        reads=options.idempotency_level == 1,
        idempotent=options.idempotency_level in _IDEMPOTENT,
        has_request_id="request_id" in found.input_type.fields_by_name,
        ours=service.full_name.startswith("weft."),
    )
