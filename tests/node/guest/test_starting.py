"""A guest whose libvirtd died while it was starting it: the next libvirtd has it for a while, and ends it."""

import libvirt
import pytest

from node.guest import domains, events
from weft.node.v1.resources_pb2 import GuestState

STARTING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED)
OFF = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED)


class Domain:
    """As much of a virDomain as a start asks for. `ended`: libvirtd itself ends its process meanwhile."""

    def __init__(self, state: tuple[int, int], ended: bool = False) -> None:
        self.now, self.ended = state, ended
        self.asked: list[str] = []

    def state(self) -> tuple[int, int]:
        return self.now

    def isActive(self) -> bool:
        return self.now[0] != libvirt.VIR_DOMAIN_SHUTOFF

    def destroy(self) -> None:
        self.asked.append("destroy")
        self.now = OFF
        if self.ended:
            error = libvirt.libvirtError("it is not running")
            error.err = (libvirt.VIR_ERR_OPERATION_INVALID, 10, "it is not running", 2, "", None, None, 0, 0)
            raise error

    def create(self) -> None:
        self.asked.append("create")
        self.now = RUNNING


@pytest.mark.parametrize("ended", [False, True])
def test_a_start_that_libvirtd_did_not_survive_is_begun_anew(ended: bool) -> None:
    domain = Domain(STARTING, ended)
    domains.start(domain)
    assert (domain.asked, domain.state()) == (["destroy", "create"], RUNNING)


@pytest.mark.parametrize(("state", "asked"), [(RUNNING, []), (PAUSED, []), (OFF, ["create"])])
def test_what_runs_or_stands_still_is_left_and_what_is_off_is_started(
    state: tuple[int, int], asked: list[str]
) -> None:
    domain = Domain(state)
    domains.start(domain)
    assert domain.asked == asked


def test_a_guest_that_is_being_started_is_not_seen_as_one() -> None:
    assert not events.sighting(*STARTING).active
    assert events.sighting(*PAUSED).state == GuestState.GUEST_STATE_PAUSED
