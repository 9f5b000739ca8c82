"""Neutron's lists: every attribute filters, `fields` selects, pages are by marker."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.lists import window
from mesh.lists import walk

View = Callable[[Any], dict[str, Any]]
# What must be said of the tags that are asked for, beside those that there are.
_TAGS: Mapping[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda said, there: said <= there,
    "tags-any": lambda said, there: bool(said & there),
    "not-tags": lambda said, there: not said <= there,
    "not-tags-any": lambda said, there: not said & there,
}
_NO_FILTERS = frozenset({"limit", "marker", "fields", "sort_key", "sort_dir", "page_reverse"})


async def listing(
    call: Call, rpc: Callable[[Any], Awaitable[Any]], request: Any, items: str, noun: str, view: View
) -> dict[str, Any]:
    """The document of a list. `items` is the list's field in the contract, `noun` the document's."""
    wanted = {name: call.queries(name) for name in call.query if name not in _NO_FILTERS}

    async def found() -> AsyncIterator[Any]:
        async for item in walk(rpc, request, items):
            document = view(item)
            if all(_fits(document, name, values) for name, values in wanted.items()):
                yield item

    taken, following = await window(call, _sorted(call, found(), view))
    document: dict[str, Any] = {noun: [selected(call, view(item)) for item in taken]}
    if following:
        document[f"{noun}_links"] = [{"rel": "next", "href": following}]
    return document


def selected(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """The attributes that `fields` names, or all."""
    names = call.queries("fields")
    return {name: document[name] for name in names if name in document} if names else document


async def _sorted(call: Call, found: AsyncIterator[Any], view: View) -> AsyncIterator[Any]:
    keys = list(zip(call.queries("sort_key"), call.queries("sort_dir") + ["asc"] * 9, strict=False))
    if not keys:
        async for item in found:
            yield item
        return
    items = [item async for item in found]
    for key, direction in reversed(keys):
        items.sort(key=lambda item: str(view(item).get(key, "")), reverse=direction == "desc")
    for item in items:
        yield item


def _fits(document: Mapping[str, Any], name: str, values: list[str]) -> bool:
    """Whether an attribute is one of the values. An attribute that the document has not fits nothing."""
    if name == "fixed_ips":
        return all(_has_address(document.get(name, []), value) for value in values)
    if name in _TAGS:
        said = {tag for value in values for tag in value.split(",")}
        return _TAGS[name](said, set(document.get("tags", ())))
    if name not in document:
        return False
    value = document[name]
    if isinstance(value, bool):
        return any(value is (given.lower() in ("true", "1")) for given in values)
    if isinstance(value, list):
        return any(given in value for given in values)
    return ("" if value is None else str(value)) in values


def _has_address(addresses: list[dict[str, str]], wanted: str) -> bool:
    key, _, value = wanted.partition("=")
    return any(address.get(key) == value for address in addresses)
