"""Answers that are bytes before they are messages: put together of parts that were serialized before.

A message's wire form is that of its fields one after the other, in any order, so what is kept of a thousand
parts is sent as it is, and neither read nor written again.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any


class Ready:
    """What an RPC answers, serialized already. Who reads it gets a message like any other."""

    __slots__ = ("content",)

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.content = b"".join(parts)


def serializer(plain: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Serializes messages as `plain` does, and takes a Ready as it is."""

    def serialize(answer: Any) -> bytes:
        return answer.content if type(answer) is Ready else plain(answer)

    return serialize


def part(field: int, message: bytes) -> bytes:
    """One message of the field of this number, repeated or not, as it stands in the one that holds it."""
    return _before(field, len(message)) + message


@lru_cache(maxsize=1024)
def _before(field: int, length: int) -> bytes:
    return _varint(field << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
