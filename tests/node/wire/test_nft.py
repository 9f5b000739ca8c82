"""Rulesets are installed, read back and changed in the kernel without a difference."""

import os
import random
from collections.abc import Iterator

import pytest

from node.wire import namespaces, nft
from node.wire.ruleset import Chain, Elements, Hook, Ruleset, Table, changes

pytestmark = pytest.mark.system


@pytest.fixture
def space() -> Iterator[str]:
    """A namespace of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    name = f"wt{os.getpid()}-nft"
    namespaces.create(name)
    yield name
    namespaces.remove(name)


def some_ruleset(dice: random.Random) -> Ruleset:
    """Chains that lead to each other, sets of every kind that the wire uses."""
    names = dice.sample(["one", "two", "three"], dice.randint(0, 3))
    chains = {
        name: Chain.of(*dice.sample(["ip saddr 10.0.0.1 accept", "drop", "udp dport 5 accept"], 2))
        for name in names
    }
    chains["in"] = Chain.of(
        *[f"tcp dport {dice.randint(1, 99)} jump {name}" for name in names], hook=Hook("filter", "input", 0)
    )
    macs = [f"tap{n} . 02:00:00:00:00:0{n}" for n in range(dice.randint(0, 5))]
    verdicts = frozenset(f"{65536 + n} : jump {name}" for n, name in enumerate(names))
    sets = {
        "mac_ok": Elements(frozenset(macs), spec="type ifname . ether_addr;"),
        "net_ok": Elements(
            frozenset(f"{mac} . 10.{n}.0.0/{dice.randint(16, 31)}" for n, mac in enumerate(macs)),
            spec="type ifname . ether_addr . ipv4_addr; flags interval;",
        ),
        "entry": Elements(verdicts, is_map=True, spec="type mark : verdict;"),
        f"m{dice.randint(1, 3)}": Elements(frozenset({"10.0.0.1"}), spec="type ipv4_addr;"),
    }
    return {"inet weft": Table(chains, sets)} if dice.random() < 0.9 else {}


def test_any_ruleset_becomes_any_other_in_one_transaction(space: str) -> None:
    dice = random.Random(20261121)
    with namespaces.inside(space):
        for _ in range(60):
            wanted = some_ruleset(dice)
            commands = changes(nft.observe(), wanted)
            if commands:
                nft.run(commands)
            assert nft.observe() == wanted
            assert changes(nft.observe(), wanted) == []


def test_anew_forgets_what_another_version_left_under_the_same_names(space: str) -> None:
    wanted = {"inet weft": Table({}, {"s": Elements(frozenset({"10.0.0.1"}), spec="type ipv4_addr;")})}
    with namespaces.inside(space):
        nft.run(["add table inet weft", "add set inet weft s { type inet_service; }"])
        with pytest.raises(nft.NftError):
            nft.run(changes(nft.observe(), wanted))
        nft.run(changes(nft.observe(), wanted, anew=True))
        assert nft.observe() == wanted


def test_a_refused_command_leaves_everything_as_it_was(space: str) -> None:
    with namespaces.inside(space):
        with pytest.raises(nft.NftError, match="Error"):
            nft.run(["add table inet weft", "add rule inet weft nowhere drop"])
        assert nft.observe() == {}
        nft.run(["add table inet weft"])
        assert nft.observe() == {"inet weft": Table({}, {})}


def test_tables_of_others_are_neither_seen_nor_touched(space: str) -> None:
    with namespaces.inside(space):
        nft.run(["add table inet theirs", "add chain inet theirs c"])
        assert nft.observe() == {}
        nft.run([*changes({}, {"inet weft": Table({}, {})}), *changes({"inet weft": Table({}, {})}, {})])
        assert "theirs" in nft.run(["list ruleset"])
