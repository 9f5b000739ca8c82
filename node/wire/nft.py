"""nftables through libnftables: commands as text in, JSON out, in the namespace of the calling thread."""

import ctypes
import functools
import json
from collections.abc import Iterable, Iterator
from ipaddress import ip_network, summarize_address_range
from typing import Any

from node.wire.ruleset import Chain, Elements, Hook, Ruleset, Table

TABLE = "weft"
_JSON, _NUMERIC = 1 << 4, 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10


class NftError(Exception):
    """nftables refused commands; the message is its own, with the line at fault."""


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


def run(commands: Iterable[str], *, flags: int = 0) -> str:
    """Run commands as one transaction: all or none. Raises NftError."""
    library = _library()
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    try:
        library.nft_ctx_output_set_flags(context, flags)
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        text = "\n".join(commands) + "\n"
        if library.nft_run_cmd_from_buffer(context, text.encode()) != 0:
            raise NftError(library.nft_ctx_get_error_buffer(context).decode(errors="replace").strip())
        return library.nft_ctx_get_output_buffer(context).decode()
    finally:
        library.nft_ctx_free(context)


def observe() -> Ruleset:
    """The tables named `weft` as they are in the kernel."""
    tables = (item["table"] for item in _listing("list tables") if "table" in item)
    ours = [f"{table['family']} {table['name']}" for table in tables if table["name"] == TABLE]
    return {name: _table(_listing(f"list table {name}")) for name in ours}


def _listing(command: str) -> list[dict[str, Any]]:
    return json.loads(run([command], flags=_JSON | _NUMERIC))["nftables"]


def _table(items: list[dict[str, Any]]) -> Table:
    hooks: dict[str, Hook | None] = {}
    digests: dict[str, list[str]] = {}
    sets: dict[str, Elements] = {}
    for item in items:
        if chain := item.get("chain"):
            hook = Hook(chain["type"], chain["hook"], chain["prio"]) if "hook" in chain else None
            hooks[chain["name"]] = hook if chain.get("policy", "accept") == "accept" else None
        elif rule := item.get("rule"):
            digests.setdefault(rule["chain"], []).append(rule.get("comment", ""))
        elif found := item.get("map") or item.get("set"):
            elements = frozenset(text for element in found.get("elem", ()) for text in _element(element))
            sets[found["name"]] = Elements(elements, "map" in item)
    return Table({name: Chain(tuple(digests.get(name, ())), hook) for name, hook in hooks.items()}, sets)


def _element(element: Any) -> Iterator[str]:
    """An element as we would write it; a range that is no prefix is several."""
    if isinstance(element, list):
        yield f"{_value(element[0])} : {_value(element[1])}"
    elif isinstance(element, dict) and "range" in element:
        yield from (str(part) for part in summarize_address_range(*map(_address, element["range"])))
    else:
        yield _value(element)


def _address(text: str) -> Any:
    return ip_network(text).network_address


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "concat" in value:
        return " . ".join(_value(part) for part in value["concat"])
    if "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if "jump" in value:
        return f"jump {value['jump']['target']}"
    return json.dumps(value, sort_keys=True)
