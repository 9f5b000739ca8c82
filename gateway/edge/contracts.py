"""What of the contracts the edge carries."""

from functools import cache
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

import weft.errors.v1.reason_pb2

# Packages that people may call. Host agents' package is not among them and has no route.
PACKAGES = ("identity", "image", "placement", "compute", "network", "block", "telemetry")
_GENERATED = Path(weft.errors.v1.reason_pb2.__file__).parents[3]
DESCRIPTORS = _GENERATED / "weft.binpb"
OPENAPI = _GENERATED / "openapi.json"


@cache
def rest_services() -> list[str]:
    """Full names of the services with at least one HTTP binding."""
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return [
        f"{file.package}.{service.name}"
        for file in files.file
        if file.package.split(".")[:1] == ["weft"] and file.package.split(".")[1] in PACKAGES
        for service in file.service
        if any(method.options.HasExtension(annotations_pb2.http) for method in service.method)
    ]
