"""A host says what it has as a whole: once it is in the kernel, and what is not."""

import pytest

from node.wire import names, namespaces
from tests.node.wire.guest import run_in
from tests.node.wire.lab import Lab

pytestmark = pytest.mark.system


def test_a_router_is_confirmed_once_it_is_in_the_kernel(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    lab.world.port(net, h1, "10.1.0.11")
    router = lab.world.router(net)
    space = names.router_space(router.id, h1.id)
    assert namespaces.identity(space) is None
    lab.confirmed(h1.id, lab.ask(h1))
    assert "10.1.0.1/24" in run_in(space, "ip", "addr").stdout
    del lab.world.routers[router.id]
    lab.confirmed(h1.id, lab.ask(h1))
    assert namespaces.identity(space) is None


def test_what_the_kernel_refuses_is_told_of_that_network_and_over_once_it_works(lab: Lab) -> None:
    h1, _ = lab.hosts
    free = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    taken = lab.world.network("10.2.0.0/24", gateway="10.2.0.1")
    lab.world.router(free)
    lab.world.port(taken, h1, "10.2.0.11")
    vni = str(taken.segmentation_id)
    lab.on(h1, *f"ip link add foreign type vxlan id {vni} dstport 4789 local {h1.vtep}".split())
    lab.on(h1, "ip", "link", "set", "foreign", "up")
    try:
        why = lab.confirmed(h1.id, lab.ask(h1), {taken.id})
        assert names.vxlan(taken.id) in why[taken.id]
    finally:
        lab.on(h1, "ip", "link", "del", "foreign")
    lab.confirmed(h1.id, lab.ask(h1))
