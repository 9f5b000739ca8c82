"""Makes the kernel's picture like the wanted one; nothing is open before it is filtered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from node.wire import entries, links, names, namespaces, nft, ruleset, spaces
from node.wire.picture import Link, Picture, Space


@dataclass(slots=True)
class Outcome:
    """What was done, in words, and what failed and why, by name of link or namespace."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def apply(ip: IPRoute, have: Picture, want: Picture, *, anew: bool = False) -> Outcome:
    """Bring `have` to `want`. Never raises for a single link or namespace: those are told of in the outcome.

    `anew` installs the filters from nothing, in one transaction. Raises NftError when they cannot be had:
    then no link is touched.
    """
    outcome = Outcome()
    _filters(have, want, outcome, anew)
    _new_spaces(want, outcome)
    _links(ip, have, want, outcome)
    _entries(ip, have, want, outcome)
    _settle_spaces(have, want, outcome)
    _old_spaces(have, want, outcome)
    return outcome


def _filters(have: Picture, want: Picture, outcome: Outcome, anew: bool) -> None:
    commands = ruleset.changes(have.rules, want.rules, anew=anew)
    if commands:
        nft.run(commands)
        outcome.done += commands


def _new_spaces(want: Picture, outcome: Outcome) -> None:
    for name, space in want.spaces.items():
        if namespaces.identity(name) is None:
            _try(outcome, name, f"made {name}", partial(spaces.create, space))


def _links(ip: IPRoute, have: Picture, want: Picture, outcome: Outcome) -> None:
    lost = _near_ends_of_missing(have, want)
    for name in [*(have.links.keys() - want.links.keys()), *(lost & have.links.keys())]:
        if names.may_remove(name):
            _try(outcome, name, f"removed {name}", partial(links.delete, ip, name))
    for link in sorted(want.links.values(), key=links.order):
        present = have.links.get(link.name) if link.name not in lost else None
        wrong = links.differences(present, link) if present else ["absent"]
        if wrong:
            what = f"{link.name}: {', '.join(wrong)}"
            _try(outcome, link.name, what, partial(links.settle, ip, present, link))


def _near_ends_of_missing(have: Picture, want: Picture) -> set[str]:
    """A far end comes and goes with its near end: where it is missing, both are made anew."""
    missing = {
        (name, end)
        for name, space in want.spaces.items()
        for end in spaces.missing_ends(have.spaces.get(name), space)
    }
    return {link.name for link in want.links.values() if (link.space, link.peer) in missing}


def _entries(ip: IPRoute, have: Picture, want: Picture, outcome: Outcome) -> None:
    remade = _remade(have, want, outcome)
    kept = {item for item in have.forwards if item.link not in remade}
    outcome.failed |= entries.change_forwards(ip, kept - want.forwards, want.forwards - kept)
    outcome.done += _told("forwarding", kept, want.forwards)
    known = {item for item in have.neighbours if item.link not in remade}
    outcome.failed |= entries.change_neighbours(ip, known - want.neighbours, want.neighbours - known)
    outcome.done += _told("neighbours", known, want.neighbours)


def _remade(have: Picture, want: Picture, outcome: Outcome) -> set[str]:
    """Links whose entries the kernel dropped, because they were made or moved just now."""
    lost = _near_ends_of_missing(have, want)
    moved = {
        name
        for name, link in want.links.items()
        if name not in have.links or _forgets(have.links[name], link) or name in lost
    }
    return moved | (have.links.keys() - want.links.keys()) | outcome.failed.keys()


def _forgets(have: Link, want: Link) -> bool:
    return any(
        getattr(have, name) != getattr(want, name) for name in ("kind", "vni", "local", "master", "up")
    )


def _told(what: str, have: Iterable, want: Iterable) -> list[str]:
    changed = len(set(have) ^ set(want))
    return [f"{what}: {changed} entries"] if changed else []


def _settle_spaces(have: Picture, want: Picture, outcome: Outcome) -> None:
    for name, wanted in want.spaces.items():
        present = _as_left(name, have, wanted)
        if present != wanted:
            _try(outcome, name, "", partial(_settle_space, present, wanted, outcome))


def _settle_space(present: Space, wanted: Space, outcome: Outcome) -> None:
    outcome.done += spaces.settle(present, wanted)


def _as_left(name: str, have: Picture, want: Space) -> Space:
    """The namespace as it is now that links were made: interfaces made anew have no address yet."""
    present = have.spaces.get(name) or Space(name, {})
    anew = spaces.missing_ends(present, want)
    there = {key: item for key, item in present.interfaces.items() if key not in anew}
    routes = present.routes if not anew else frozenset()
    known = frozenset(item for item in present.neighbours if item.link not in anew)
    return Space(name, there, routes, known, present.rules, present.forwarding)


def _old_spaces(have: Picture, want: Picture, outcome: Outcome) -> None:
    for name in have.spaces.keys() - want.spaces.keys():
        _try(outcome, name, f"removed {name}", partial(namespaces.remove, name))


def _try(outcome: Outcome, name: str, what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except (NetlinkError, nft.NftError, OSError) as error:
        outcome.failed[name] = str(error)
    else:
        if what:
            outcome.done.append(what)
