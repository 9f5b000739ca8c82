"""The queue of the audit trail: nothing waits for it, nothing is lost unsaid."""

import logging
from typing import Any

import pytest

from mesh import audit, contract, peer
from mesh.audit import Entry, Recorder, Subject, Trail
from mesh.caller import ANONYMOUS, Caller, Kind
from mesh.errors import CloudError
from weft.identity.v1.audit_service_pb2 import AuditEvent

CREATE = contract.method("/weft.compute.v1.FlavorService/CreateFlavor")
USER = Caller(kind=Kind.USER, user_id="u", user_name="ann", project_id="p", user_domain_id="d", domain_id="d")


class Taker:
    """Takes events, or refuses to."""

    def __init__(self) -> None:
        self.taken: list[AuditEvent] = []
        self.away = False
        self.lots: list[int] = []

    async def send(self, events: Any) -> None:
        if self.away:
            raise CloudError("UNAVAILABLE", "away")
        self.lots.append(len(events))
        self.taken += events


def entry(trail: Trail, target: str = "", who: Caller = USER, reason: str = "", **more: Any) -> Entry:
    """Something that was done, or refused."""
    assert CREATE.access is not None
    told = Recorder(trail, CREATE, CREATE.access)
    fields = {"subject": None, "address": "192.0.2.1", "project_id": who.project_id, "trace_id": "t"}
    return Entry(1_700_000_000_123_456_000, told, who, target_id=target, reason=reason, **(fields | more))


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def trail(taker: Taker) -> Trail:
    return Trail(taker.send, lambda: 2.0)


async def test_an_entry_becomes_an_event_in_the_form_of_cadf(trail: Trail, taker: Taker) -> None:
    trail.add(entry(trail, "flavor-1"))
    await trail.flush()
    (event,) = taker.taken
    assert event.event_time.ToMicroseconds() == 1_700_000_000_123_456
    assert (event.event_type, event.outcome) == ("activity", "success")
    assert (event.action, event.target.type_uri, event.target.id) == (
        "compute.flavors.create",
        "compute/flavors",
        "flavor-1",
    )
    assert (event.initiator.id, event.initiator.name, event.initiator.host.address) == (
        "u",
        "ann",
        "192.0.2.1",
    )
    assert not event.HasField("reason")


class At:
    """A call from somewhere."""

    def __init__(self, peer: str) -> None:
        self.peer = lambda: peer


@pytest.mark.parametrize(
    ("at", "forwarded", "who", "address"),
    [
        ("ipv4:192.0.2.7:4711", "", USER, "192.0.2.7"),
        ("ipv6:%5B2001:db8::7%5D:4711", "", USER, "2001:db8::7"),
        ("unix:", "", USER, "unix"),
        ("direct:", "", Caller(Kind.SERVICE, service="compute"), "direct"),
        ("unix:", "198.51.100.1, 203.0.113.9", ANONYMOUS, "203.0.113.9"),  # the gateway's word is the last
        ("ipv4:192.0.2.7:4711", "203.0.113.9", Caller(Kind.NODE, host_id="h"), "192.0.2.7"),
        ("ipv4:192.0.2.7:4711", "203.0.113.9", USER.through("compute"), "192.0.2.7"),
    ],
)
def test_where_a_call_comes_from(at: str, forwarded: str, who: Caller, address: str) -> None:
    assert peer.address(At(at), {"x-forwarded-for": forwarded} if forwarded else {}, who) == address


async def test_who_is_told_of(trail: Trail, taker: Taker) -> None:
    through = USER.through("compute")
    callers = (through, Caller(Kind.SERVICE, service="block"), Caller(Kind.NODE, host_id="h"), ANONYMOUS)
    for who in callers:
        trail.add(entry(trail, who=who))
    trail.add(entry(trail, who=ANONYMOUS, subject=Subject("u", "ann", "d"), reason="UNAUTHENTICATED"))
    await trail.flush()
    told = [(e.initiator.type_uri, e.initiator.id, e.initiator.via) for e in taker.taken]
    assert told == [
        ("service/security/account/user", "u", "compute"),
        ("service", "block", ""),
        ("compute/node", "h", ""),
        ("unknown", "", ""),
        ("service/security/account/user", "u", ""),
    ]
    assert (taker.taken[-1].outcome, taker.taken[-1].reason.reason_code) == ("failure", "UNAUTHENTICATED")


async def test_what_identity_did_not_take_waits_and_is_told_once_in_order(trail: Trail, taker: Taker) -> None:
    taker.away = True
    for number in range(3):
        trail.add(entry(trail, str(number)))
    with pytest.raises(CloudError):
        await trail.flush()
    trail.add(entry(trail, "3"))
    taker.away = False
    await trail.flush()
    assert [event.target.id for event in taker.taken] == ["0", "1", "2", "3"]
    assert len({event.id for event in taker.taken}) == 4
    await trail.flush()
    assert len(taker.taken) == 4


async def test_no_lot_is_larger_than_the_contract_takes(trail: Trail, taker: Taker) -> None:
    for _ in range(audit.BATCH + 1):
        trail.add(entry(trail))
    await trail.flush()
    assert taker.lots == [audit.BATCH, 1]


async def test_what_is_too_much_is_lost_and_that_is_said(
    trail: Trail, taker: Taker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "WAITING", 10)
    for number in range(13):
        trail.add(entry(trail, str(number)))
    with caplog.at_level(logging.ERROR):
        await trail.flush()
    assert "3 audit events were lost" in caplog.text
    assert [event.target.id for event in taker.taken] == [str(number) for number in range(10)]


async def test_strangers_who_knock_do_not_fill_the_trail(trail: Trail, taker: Taker) -> None:
    for _ in range(audit.STRANGERS + 100):
        trail.add(entry(trail, who=ANONYMOUS, reason="UNAUTHENTICATED"))
    trail.add(entry(trail, who=USER, reason="PERMISSION_DENIED"))
    await trail.flush()
    assert len(taker.taken) == audit.STRANGERS + 1
    trail.add(entry(trail, who=ANONYMOUS, reason="UNAUTHENTICATED"))
    await trail.flush()
    assert len(taker.taken) == audit.STRANGERS + 2


async def test_what_is_left_is_sent_at_the_end_and_else_said_to_be_lost(
    trail: Trail, taker: Taker, caplog: pytest.LogCaptureFixture
) -> None:
    trail.add(entry(trail))
    await trail.close()
    assert len(taker.taken) == 1
    taker.away = True
    trail.add(entry(trail))
    await trail.close()
    assert "1 audit events were lost at the end" in caplog.text
