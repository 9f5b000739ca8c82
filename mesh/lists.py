"""Lists of other services, from their first page to their last."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

# As many items as a page of any contract may have.
PAGE = 1000


async def walk(rpc: Callable[[Any], Awaitable[Any]], request: Any, items: str) -> AsyncIterator[Any]:
    """All items of a list of the contracts, page after page. `items` is their field in the answer."""
    request.page_size = PAGE
    while True:
        answer = await rpc(request)
        for item in getattr(answer, items):
            yield item
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token
