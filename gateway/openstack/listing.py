"""Lists as Nova and Cinder make them: filters on what is shown, sort keys, pages by marker."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.lists import each, window

# Not about what the items are like.
PAGING = frozenset({"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"})


@dataclass(frozen=True, slots=True)
class Shown:
    """An item of a list: its id, and its document in full."""

    id: str
    document: dict[str, Any]


View = Callable[[Any], dict[str, Any]]


async def listing(
    call: Call,
    found: AsyncIterator[Any],
    noun: str,
    view: View,
    brief: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    sorts: Mapping[str, str] | None = None,
    ascending: str = "",
    lost: int = 400,
) -> dict[str, Any]:
    """The document of a list. `sorts` maps sort keys to fields of the document.

    What is not sorted comes newest first, or by the sort key `ascending`. `lost` is the status of a marker
    that is not in the list.
    """
    items = [Shown(item.id, view(item)) async for item in found]
    _sort(items, _keys(call) or ([(ascending, "asc")] if ascending else []), sorts or {})
    taken, following = await window(call, each(items[_offset(call) :]), strict=True, lost=lost)
    document: dict[str, Any] = {noun: [brief(one.document) if brief else one.document for one in taken]}
    if following:
        document[f"{noun}_links"] = [{"rel": "next", "href": following}]
    return document


def fitting(found: AsyncIterator[Any], fits: Callable[[Any], bool]) -> AsyncIterator[Any]:
    """Those of a list that fit."""

    async def walked() -> AsyncIterator[Any]:
        async for item in found:
            if fits(item):
                yield item

    return walked()


def wanted(call: Call, known: Collection[str]) -> dict[str, str]:
    """The filters of a query. Raises Refusal for one that is not known."""
    given = {name: value for name, value in call.query.items() if name not in PAGING}
    if unknown := sorted(set(given) - set(known)):
        raise Refusal(400, f"Invalid filters {', '.join(unknown)} are found in query options.")
    return given


def _sort(items: list[Shown], keys: list[tuple[str, str]], sorts: Mapping[str, str]) -> None:
    items.reverse()  # the contracts list the oldest first
    for key, direction in reversed(keys):
        if key not in sorts:
            raise Refusal(400, f"{key!r} is no sort key: they are {', '.join(sorts)}.")
        name = sorts[key]
        items.sort(key=lambda item: _comparable(item.document.get(name)), reverse=direction == "desc")


def _keys(call: Call) -> list[tuple[str, str]]:
    keys = [part.partition(":")[::2] for part in call.query.get("sort", "").split(",") if part]
    directions = call.queries("sort_dir")
    legacy = call.queries("sort_key")
    keys += list(zip(legacy, directions + ["desc"] * len(legacy), strict=False))
    if directions and not legacy:
        keys.append(("created_at", directions[0]))
    if any(direction not in ("", "asc", "desc") for _, direction in keys):
        raise Refusal(400, "A sort direction is asc or desc.")
    return [(key, direction or "desc") for key, direction in keys]


def _comparable(value: Any) -> tuple[int, Any]:
    if isinstance(value, int):
        return (1, value)
    return (0, "" if value is None else str(value))


def _offset(call: Call) -> int:
    given = call.query.get("offset", "0")
    if not given.isdecimal() or len(given) > 9:
        raise Refusal(400, f"offset: {given!r} is not a whole number of 0 or more.")
    return int(given)
