"""The kernel's side of the wire: brings it to what a state asks for, and says what of it is there.

All of it blocks, and belongs to one thread.
"""

import logging
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2 import IPRoute

from node.wire import (
    confirming,
    conntrack,
    filters,
    guard,
    links,
    names,
    namespaces,
    narrowing,
    observe,
    plan,
)
from node.wire.apply import Outcome, apply
from node.wire.numbers import Numbers
from node.wire.picture import Link, Picture
from node.wire.state import State

log = logging.getLogger(__name__)
_ZONES = (1, 0xFFFE)


@dataclass(frozen=True, slots=True)
class Result:
    """Ports by id: revisions of those wired, and why others are not. `healthy`: nothing is to repeat.

    `trouble`: what of routers and networks is not as wanted, and why, by id; "" is anything.
    """

    wired: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    healthy: bool = True
    trouble: Mapping[str, str] = field(default_factory=dict)


class Kernel:
    """Remembers what it left, so that a change costs what it changes; `verify` looks at everything again."""

    def __init__(self, site: plan.Site) -> None:
        self._site = site
        self._have: Picture | None = None
        self._state = State()
        self._ports = Numbers(guard.FIRST, guard.LAST)
        self._zones = Numbers(*_ZONES)
        self._bad_rules: Mapping[str, str] = {}
        self._started = False

    def prepare(self) -> None:
        """Load what passes bridged packets to the filters: without it they pass nowhere."""
        if Path("/proc/sys/net/bridge").exists():
            return
        try:
            subprocess.run(["modprobe", "br_netfilter"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            log.error("guests get no packets without the kernel's br_netfilter: %s", error)

    def converge(self, state: State, *, verify: bool = False) -> Result:
        """Bring the kernel to `state`. Raises NftError, NetlinkError or OSError when nothing can be done."""
        with IPRoute() as ip:
            return self._converge(ip, state, verify)

    def remove(self) -> Outcome:
        """Take away all that is ours. Raises NftError, NetlinkError or OSError when nothing can be done."""
        with IPRoute() as ip:
            have = observe.host(ip, (), self._site.host_id)
            self._have, self._state, self._started = None, State(), False
            return apply(ip, have, Picture())

    def link_differs(self, names_: Iterable[str]) -> bool:
        """Whether any of these links is not as it was left, or is there and should not be."""
        if self._have is None:
            return True
        with IPRoute() as ip:
            by_index = dict(socket.if_nameindex())
            return any(_wrong(ip, by_index, name, self._have.links.get(name)) for name in names_)

    def _borrows(self, have: Picture, state: State) -> bool:
        """Whether a shared bridge is wanted that we did not look for yet: its owner may have made it."""
        shared = set(self._site.bridges.values())
        return bool(shared & set(plan.bridges(state, self._site).values()) - have.links.keys())

    def _converge(self, ip: IPRoute, state: State, verify: bool) -> Result:
        have, verified = self._have, False
        if verify or have is None or self._borrows(have, state):
            have, verified = observe.host(ip, self._site.bridges.values(), self._site.host_id), True
        if not self._started:
            self._adopt(have)
        wanted = self._plan(state)
        self._have = None  # until it is known to be what was wanted
        outcome = apply(ip, have, wanted.picture, anew=not self._started)
        touched = {name for name, link in wanted.picture.links.items() if have.links.get(name) != link}
        outcome.failed |= _read_back(ip, wanted.picture, touched - outcome.failed.keys())
        self._tell(outcome, verified and self._started and state.revision == self._state.revision)
        self._tell_of_rules(state)
        self._revoke(state, everything=not self._started)
        self._state, self._started = state, True
        self._have = None if outcome.failed else wanted.picture
        return self._result(state, wanted, outcome)

    def _result(self, state: State, wanted: plan.Plan, outcome: Outcome) -> Result:
        failed = dict(wanted.faults)
        for id, port in state.ports.items():
            network = port.network_id
            needed = (names.tap(id), names.bridge(network), names.vxlan(network))
            if why := next((outcome.failed[name] for name in needed if name in outcome.failed), ""):
                failed[id] = why
        wired = {id: port.revision for id, port in state.ports.items() if id not in failed}
        trouble = confirming.trouble(state, outcome.failed, self._site.host_id)
        return Result(wired, failed, not outcome.failed, trouble)

    def _adopt(self, have: Picture) -> None:
        bridge, inet = have.rules.get("bridge weft"), have.rules.get("inet weft")
        if bridge and "port" in bridge.sets:
            marks = _pairs(bridge.sets["port"].elements)
            self._ports.adopt({name: mark & 0xFFFF for name, mark in marks.items()})
        if inet and "zone" in inet.sets:
            self._zones.adopt(_pairs(inet.sets["zone"].elements))

    def _plan(self, state: State) -> plan.Plan:
        numbers = self._ports.keep(names.tap(id) for id in state.ports)
        zones = self._zones.keep(plan.bridges(state, self._site).values())
        return plan.plan(state, self._site, numbers, zones)

    def _revoke(self, state: State, *, everything: bool) -> None:
        zones, bridges = self._current_zones(state), plan.bridges(state, self._site)
        narrowed = set(state.ports) if everything else narrowing.ports(self._state, state)
        networks = {state.ports[id].network_id for id in narrowed} & bridges.keys()
        for network in networks:
            ports = [port for port in state.ports.values() if port.network_id == network]
            self._forgotten(conntrack.revoke(ports, state.groups, zones[bridges[network]]))
        for network, addresses in narrowing.removed_ports(self._state, state).items():
            if network in bridges:
                self._forgotten(conntrack.forget_addresses(addresses, {zones[bridges[network]]}))
        for router, addresses in narrowing.removed_floating_ips(self._state, state).items():
            space = names.router_space(router, self._site.host_id)
            if namespaces.identity(space) is not None:
                with namespaces.inside(space):
                    self._forgotten(conntrack.forget_addresses(addresses))

    def _current_zones(self, state: State) -> Mapping[str, int]:
        return self._zones.keep(plan.bridges(state, self._site).values())

    def _forgotten(self, count: int) -> None:
        if count:
            log.info("ended %d connections that are allowed no more", count)

    def _tell(self, outcome: Outcome, drifted: bool) -> None:
        for name, why in outcome.failed.items():
            log.error("cannot wire %s: %s", name, why)
        if drifted and outcome.done:
            log.warning("the kernel had drifted, repaired: %s", "; ".join(outcome.done[:20]))

    def _tell_of_rules(self, state: State) -> None:
        known, self._bad_rules = self._bad_rules, filters.bad_rules(state.groups)
        for rule in self._bad_rules.keys() - known.keys():
            log.warning("security group rule %s allows nothing: %s", rule, self._bad_rules[rule])


def _pairs(elements: Iterable[str]) -> dict[str, int]:
    found = (element.split(" : ") for element in elements)
    return {key: int(value) for key, value in found}


def _read_back(ip: IPRoute, want: Picture, touched: Iterable[str]) -> dict[str, str]:
    by_index = dict(socket.if_nameindex())
    checked = {name: _wrong(ip, by_index, name, want.links[name]) for name in touched}
    return {name: f"{name} is not as it was made: {wrong}" for name, wrong in checked.items() if wrong}


def _wrong(ip: IPRoute, by_index: Mapping[int, str], name: str, wanted: Link | None) -> str:
    index = next((index for index, found in by_index.items() if found == name), None)
    if index is None or wanted is None:
        return "" if index is None and wanted is None else "there" if wanted is None else "absent"
    present = observe.link(ip.link("get", index=index)[0], by_index)
    return ", ".join(links.differences(present, wanted)) if present else "of another kind"
