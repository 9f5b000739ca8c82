"""The RPCs that people may call, of all the contracts: by their names, and by their REST bindings."""

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import weft
from mesh import contract
from mesh.contract import Method
from weft.options.v1 import access_pb2

_PEOPLE = (access_pb2.AUDIENCE_USER, access_pb2.AUDIENCE_PUBLIC)
_VARIABLE = re.compile(r"\{[^{}/]*\}")
ANYTHING_BELOW = "**"


@cache
def rpcs() -> frozenset[str]:
    """Every RPC that people may call, as `weft.compute.v1.ServerService/GetServer`."""
    return frozenset(method.path.removeprefix("/") for method in _methods())


def by_path(verb: str, path: str) -> frozenset[str]:
    """The RPCs that an HTTP method on a path is bound to; a variable of the binding is `*` or `{anything}`.

    `**` as the last part is all that begins so; anything else is taken literally.
    """
    wanted = _parts(path)
    if wanted[-1:] == (ANYTHING_BELOW,):
        start = wanted[:-1]
        return frozenset(
            rpc
            for (said, parts), rpc in _bindings().items()
            if said == verb and len(parts) > len(start) and parts[: len(start)] == start
        )
    found = _bindings().get((verb, wanted))
    return frozenset({found} if found else ())


def _parts(path: str) -> tuple[str, ...]:
    return tuple(_VARIABLE.sub("*", path).split("/"))


@cache
def _bindings() -> dict[tuple[str, tuple[str, ...]], str]:
    found = {}
    for method in _methods():
        if method.http is None:
            continue
        for rule in (method.http, *method.http.additional_bindings):
            verb = rule.WhichOneof("pattern")
            found[verb.upper(), _parts(getattr(rule, verb))] = method.path.removeprefix("/")
    return found


@cache
def _methods() -> list[Method]:
    return [
        method
        for package in _packages()
        for service in _services(package)
        for method in contract.methods(service)
        if method.access is not None and method.access.audience in _PEOPLE
    ]


def _packages() -> list[str]:
    """`weft.compute.v1` and its like: directories, for the generated packages have no files of their own."""
    found = {
        f"weft.{version.parent.name}.{version.name}"
        for root in weft.__path__
        for version in Path(root).glob("*/v*")
        if version.is_dir()
    }
    return sorted(found)


def _services(package: str) -> list[str]:
    """Full names of the services of a package."""
    found = importlib.import_module(package)
    modules = (
        importlib.import_module(f"{package}.{module.name}")
        for module in pkgutil.iter_modules(found.__path__)
        if module.name.endswith("_pb2")
    )
    return [each.full_name for module in modules for each in module.DESCRIPTOR.services_by_name.values()]
