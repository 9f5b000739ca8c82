"""Passwords: argon2id, hashed in threads of their own, with the same work done when there is nobody."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

# OWASP's smallest setting for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# More than this at one time would not be faster, and each takes its memory.
_THREADS = 2


class Passwords:
    """Makes and checks password hashes; each takes about 20 ms of one processor."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._nobodys = _nobodys()

    async def hashed(self, password: str) -> str:
        """The hash to keep."""
        return await self._run(_HASHER.hash, password)

    async def match(self, stored: str, password: str) -> bool:
        """Whether the password is the one hashed; an empty `stored` takes as long and never matches."""
        right = await self._run(_matches, stored or self._nobodys, password)
        return right and bool(stored)

    async def _run(self, fn: Callable[..., Any], *args: str) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn, *args)


@cache
def _nobodys() -> str:
    """What is looked at in the place of a hash that is not there."""
    return _HASHER.hash("a password that is never compared with success")


def _matches(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
