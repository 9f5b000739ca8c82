"""Lists: OpenStack pages by the id of the last item seen, the contracts by an opaque token."""

from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlencode

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from mesh.lists import PAGE


async def each(found: Iterable[Any]) -> AsyncIterator[Any]:
    """What is there already, as a list that is walked."""
    for item in found:
        yield item


async def window(
    call: Call, found: AsyncIterator[Any], maximum: int = PAGE, *, strict: bool = False, lost: int = 400
) -> tuple[list[Any], str]:
    """The items after `marker`, at most `limit`, and the address of the next page ("" on the last).

    `strict`, as Nova and Cinder are: a limit of 0 is none at all, and a full page names another.
    `lost` is the status of a marker that is not in the list.
    """
    limit, marker = _limit(call, maximum), call.query.get("marker", "")
    if not (limit or strict):
        limit = maximum
    taken: list[Any] = []
    waiting = bool(marker)
    async for item in found:
        if waiting:
            waiting = item.id != marker
        elif len(taken) == limit:
            return taken, _next(call, taken[-1].id) if taken else ""
        else:
            taken.append(item)
    if waiting:
        raise Refusal(lost, f"The marker {marker} is not in the list.")
    return taken, _next(call, taken[-1].id) if strict and taken and len(taken) == limit else ""


def _limit(call: Call, maximum: int) -> int:
    given = call.query.get("limit", str(maximum))
    if not given.isdecimal() or len(given) > 9:
        raise Refusal(400, f"limit: {given!r} is not a whole number of 0 or more.")
    return min(int(given), maximum)


def _next(call: Call, marker: str) -> str:
    kept = [(name, value) for name, value in call.request.query_params.multi_items() if name != "marker"]
    return f"{call.root}{call.request.url.path}?{urlencode([*kept, ('marker', marker)])}"
