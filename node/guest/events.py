"""libvirt's event loop, and what its lifecycle events mean."""

import threading

import libvirt

from node.guest.hypervisor import Sighting
from weft.node.v1.resources_pb2 import GuestState

_starting = threading.Lock()
_thread: threading.Thread | None = None

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: GuestState.GUEST_STATE_RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: GuestState.GUEST_STATE_RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: GuestState.GUEST_STATE_PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: GuestState.GUEST_STATE_PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: GuestState.GUEST_STATE_RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: GuestState.GUEST_STATE_SHUTOFF,
    libvirt.VIR_DOMAIN_CRASHED: GuestState.GUEST_STATE_CRASHED,
}
_SHUTOFF_WORDS = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: "saved",
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: "failed",
    libvirt.VIR_DOMAIN_SHUTOFF_DAEMON: "daemon",
}
_STOPPED_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "failed",
}
_PAUSED_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED: "paused",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR: "ioerror",
}


def run_loop() -> None:
    """Have libvirt's event loop run in a thread of this process. It must run before any connection opens."""
    global _thread
    with _starting:
        if _thread is None:
            libvirt.virEventRegisterDefaultImpl()
            _thread = threading.Thread(target=_turn, name="libvirt-events", daemon=True)
            _thread.start()


def _turn() -> None:
    # With no timer there may be nothing to wake the loop when a connection is added from another thread.
    libvirt.virEventAddTimeout(5000, lambda *_: None, None)
    while True:
        libvirt.virEventRunDefaultImpl()


def quiet(_context: object, _error: object) -> None:
    """libvirt prints its errors by default; here they are raised, and logged where they end."""


def sighting(state: int, reason: int) -> Sighting:
    """What virDomainGetState says."""
    if starts(state, reason):
        return Sighting(GuestState.GUEST_STATE_SHUTOFF, "starting")
    seen = _STATES.get(state, GuestState.GUEST_STATE_UNSPECIFIED)
    if state != libvirt.VIR_DOMAIN_SHUTOFF:
        return Sighting(seen, "ioerror" if reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR and state == 3 else "")
    return _off(_SHUTOFF_WORDS.get(reason, ""))


def starts(state: int, reason: int) -> bool:
    """Whether there is a process that libvirtd is making a guest of: it is none yet, and may never be."""
    return (state, reason) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)


def lifecycle(event: int, detail: int) -> Sighting | None:
    """What a lifecycle event says of the guest; None when it says nothing that lasts, or that it is gone."""
    if event in (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_RESUMED):
        return Sighting(GuestState.GUEST_STATE_RUNNING, "started")
    if event in (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED):
        return Sighting(GuestState.GUEST_STATE_PAUSED, _PAUSED_WORDS.get(detail, ""))
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return _off(_STOPPED_WORDS.get(detail, ""))
    if event == libvirt.VIR_DOMAIN_EVENT_CRASHED:
        return Sighting(GuestState.GUEST_STATE_CRASHED, "crashed")
    return None


def _off(word: str) -> Sighting:
    crashed = word in ("crashed", "failed")
    return Sighting(GuestState.GUEST_STATE_CRASHED if crashed else GuestState.GUEST_STATE_SHUTOFF, word)
