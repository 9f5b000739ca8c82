"""What Placement's bodies and queries must be like, by microversion, as JSON schemas."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
Version = tuple[int, int]
_MOST = 2**31 - 1
_ANY_UUID = "^[0-9a-fA-F-]{36}$"
_NAME = "^[A-Z0-9_]+$"
_CUSTOM = "^CUSTOM_[A-Z0-9_]+$"
UUID: Schema = {"type": "string", "format": "uuid"}
_TEXT: Schema = {"type": "string"}
_OWNER: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_GENERATION: Schema = {"type": "integer"}


def closed(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _keyed(pattern: str, value: Schema, least: int = 0) -> Schema:
    """An object whose keys are all of one kind."""
    return {
        "type": "object",
        "patternProperties": {pattern: value},
        "minProperties": least,
        "additionalProperties": False,
    }


def _whole(least: int, most: int = _MOST) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def provider(version: Version, *, new: bool) -> Schema:
    """A provider, to be created or changed."""
    said: dict[str, Schema] = {"name": {"type": "string", "maxLength": 200}}
    if new:
        said["uuid"] = UUID
    if version >= (1, 14):
        said["parent_provider_uuid"] = {"anyOf": [UUID, {"type": "null"}]}
    return closed(said, "name")


def providers(version: Version) -> Schema:
    """The query of a list of providers."""
    said: dict[str, Schema] = {"name": _TEXT, "uuid": UUID}
    for name, since in (("member_of", 3), ("resources", 4), ("in_tree", 14), ("required", 18)):
        if version >= (1, since):
            said[name] = UUID if name == "in_tree" else _TEXT
    return closed(said)


_AMOUNTS: Mapping[str, Schema] = {
    "total": _whole(1),
    "reserved": _whole(0),
    "min_unit": _whole(1),
    "max_unit": _whole(1),
    "step_size": _whole(1),
    "allocation_ratio": {"type": "number", "maximum": 3.40282e38},
}
INVENTORY = closed(
    {"resource_provider_generation": _GENERATION, **_AMOUNTS}, "total", "resource_provider_generation"
)
NEW_INVENTORY = closed(
    {
        "resource_provider_generation": _GENERATION,
        "resource_class": {"type": "string", "pattern": _NAME},
        **_AMOUNTS,
    },
    "total",
    "resource_class",
)
_ONE_OF_ALL = closed({"resource_provider_generation": _GENERATION, **_AMOUNTS}, "total")
INVENTORIES = closed(
    {
        "resource_provider_generation": _GENERATION,
        "inventories": {"type": "object", "patternProperties": {_NAME: _ONE_OF_ALL}},
    },
    "resource_provider_generation",
    "inventories",
)
TRAITS = closed(
    {
        "traits": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
        "resource_provider_generation": _GENERATION,
    },
    "traits",
    "resource_provider_generation",
)
LIST_TRAITS = closed({"name": _TEXT, "associated": _TEXT})
RESOURCE_CLASS = closed({"name": {"type": "string", "pattern": _CUSTOM, "maxLength": 255}}, "name")
CUSTOM_TRAIT: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _CUSTOM}


def aggregates(version: Version) -> Schema:
    """The aggregates of a provider."""
    some: Schema = {"type": "array", "items": UUID, "uniqueItems": True}
    if version < (1, 19):
        return some
    return closed(
        {"aggregates": some, "resource_provider_generation": _GENERATION},
        "aggregates",
        "resource_provider_generation",
    )


def usages(version: Version) -> Schema:
    """The query of a project's usages."""
    said = {"project_id": _OWNER, "user_id": _OWNER}
    if version >= (1, 38):
        said["consumer_type"] = {**_OWNER, "pattern": f"{_NAME}|^all$|^unknown$"}
    return closed(said, "project_id")


# Parameters of one group of requirements; later ones ask for several.
ONE_GROUP = frozenset({"resources", "required", "member_of", "in_tree", "limit"})


def candidates(version: Version) -> Schema:
    """The query of allocation candidates."""
    said: dict[str, Schema] = {"resources": _TEXT}
    for name, since, kind in (
        ("limit", 16, {"type": "string", "pattern": "^[1-9][0-9]*$"}),
        ("required", 17, _TEXT),
        ("member_of", 21, _TEXT),
        ("group_policy", 25, {"type": "string", "enum": ["none", "isolate"]}),
        ("in_tree", 31, UUID),
        ("root_required", 35, _TEXT),
        ("same_subtree", 36, _TEXT),
    ):
        if version >= (1, since):
            said[name] = kind
    suffix = "([1-9][0-9]*)" if version < (1, 33) else "[a-zA-Z0-9_-]{1,64}"
    some = "resources|required|member_of" + ("|in_tree" if version >= (1, 31) else "")
    grouped = {f"^({some}){suffix}$": _TEXT} if version >= (1, 25) else {}
    return {**closed(said), "patternProperties": grouped}


_RESOURCES = _keyed(_NAME, {"type": "integer", "minimum": 1}, 1)


def allocations(version: Version, *, several: bool = False) -> Schema:
    """What a consumer is to have; as one of several it may be nothing."""
    if version < (1, 12):
        return _listed_allocations(version)
    of_provider = closed({"generation": _GENERATION, "resources": _RESOURCES}, "resources")
    least = 0 if several or version >= (1, 28) else 1
    said: dict[str, Schema] = {
        "allocations": _keyed(_ANY_UUID, of_provider, least),
        "project_id": _OWNER,
        "user_id": _OWNER,
    }
    required = list(said)
    if version >= (1, 28):
        said["consumer_generation"] = {"type": ["integer", "null"]}
        required.append("consumer_generation")
    if version >= (1, 34):
        some = {"type": "array", "minItems": 1, "items": UUID}
        said["mappings"] = {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {"[a-zA-Z0-9_-]{1,64}": some},
        }
    if version >= (1, 38):
        said["consumer_type"] = {**_OWNER, "pattern": _NAME}
        required.append("consumer_type")
    return closed(said, *required)


def _listed_allocations(version: Version) -> Schema:
    one = closed(
        {"resource_provider": closed({"uuid": UUID}, "uuid"), "resources": _RESOURCES},
        "resource_provider",
        "resources",
    )
    said: dict[str, Schema] = {"allocations": {"type": "array", "minItems": 1, "items": one}}
    if version >= (1, 8):
        said |= {"project_id": _OWNER, "user_id": _OWNER}
    return closed(said, *said)


def many_allocations(version: Version, least: int = 1) -> Schema:
    """What several consumers are to have."""
    return _keyed(_ANY_UUID, allocations(version, several=True), least)


def reshaping(version: Version) -> Schema:
    """Inventories and allocations that change together."""
    return closed(
        {
            "inventories": _keyed(_ANY_UUID, INVENTORIES, 1),
            "allocations": many_allocations(version, 0),
        },
        "inventories",
        "allocations",
    )
