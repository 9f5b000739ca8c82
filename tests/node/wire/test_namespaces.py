"""Namespaces come and go by name, whatever a death left of them."""

import os
import socket
from collections.abc import Iterator

import pytest

from node.wire import names, namespaces, observe

pytestmark = pytest.mark.system


@pytest.fixture
def name() -> Iterator[str]:
    """A name that is free, and is afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    free = f"wt{os.getpid()}-ns"
    yield free
    namespaces.remove(free)


def links() -> set[str]:
    """Links that the calling thread sees."""
    return {link for _, link in socket.if_nameindex()}


def test_a_block_inside_sees_only_what_is_inside_and_comes_home(name: str) -> None:
    before = links()
    namespaces.create(name)
    with namespaces.inside(name):
        assert links() == {"lo"}
    assert links() == before


def test_a_block_comes_home_from_a_failure(name: str) -> None:
    before = links()
    namespaces.create(name)
    with pytest.raises(ZeroDivisionError), namespaces.inside(name):
        assert 1 / (len(links()) - 1)
    assert links() == before


def test_a_name_without_a_namespace_is_seen_taken_over_and_removed(name: str) -> None:
    namespaces.DIRECTORY.mkdir(exist_ok=True)
    (namespaces.DIRECTORY / name).touch()
    assert name in namespaces.names()
    assert namespaces.identity(name) is None
    assert observe.space(name).interfaces == {}
    with pytest.raises(OSError, match="setns"), namespaces.inside(name):
        pass
    namespaces.create(name)
    assert namespaces.identity(name) is not None
    namespaces.remove(name)
    namespaces.remove(name)
    assert name not in namespaces.names()


def test_each_living_namespace_has_an_identity_of_its_own(name: str) -> None:
    namespaces.create(name)
    mine = namespaces.identity(name)
    assert mine != os.stat("/proc/self/ns/net").st_ino
    namespaces.remove(name)
    assert namespaces.identity(name) is None


def test_only_names_of_this_host_are_this_hosts() -> None:
    one, other = "1" * 8 + "-aaaa", "2" * 8 + "-bbbb"
    found = names.router_space("0f0f0f0f-0000-4000-8000-000000000000", one)
    assert names.is_our_space(found, one)
    assert not names.is_our_space(found, other)
    assert not names.is_our_space("weft-test-12345678", one)
