"""A change of a router or a floating IP comes to the hosts that it concerns.

step             does                                                          undo
tell hosts       finds which of the hosts are there, and say what they have     -
hosts have it    waits until each of these has it in its kernel                 -

The change itself is committed together with the operation, and hosts hear of it by their streams; so what
takes it back commits with the operation's end. A deletion is never taken back: it waits for as long as a host
that is there has what was deleted. Hosts that are away are not waited for: they are told when they are back.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from mesh.database import Connection, Database
from mesh.errors import CloudError
from mesh.flow import AT_ONCE, Flow, Run, Step
from services.network.confirmations import Confirmations
from services.network.section import LONGEST_PATIENCE
from services.network.store import hosts, snapshots
from services.network.store.hosts import Standing
from services.network.store.snapshots import Snapshot

# Seconds. The step itself gives up after `App.patience`, and counts that anew when another takes it over.
_FLOW_SECONDS = 2 * LONGEST_PATIENCE
# As many hosts as an operation names.
_NAMED = 10
_TELL, _HAVE = "tell hosts", "hosts have it"
Restore = Callable[[Connection, str, Snapshot | None, Snapshot], None]


@dataclass(frozen=True, slots=True)
class App:
    """The service as its flows see it; `patience` is how long hosts have for a change, in seconds."""

    database: Database
    confirmations: Confirmations
    patience: float


def tell(connection: Connection, run: Run) -> dict[str, Any]:
    """Those that tell what they have, and who is not waited for."""
    standing = hosts.standing(connection, run.input["hosts"])
    there = [id for id, each in standing.items() if each.confirmed is not None]
    return {"hosts": there, "note": _left_out(run, there, "away, or do not tell what they have")}


async def have_it(run: Run) -> dict[str, Any]:
    """HOSTS_BEHIND when one of them does not have it in time."""
    app: App = run.app
    wanted: list[str] = run.outputs[_TELL]["hosts"]
    standing: Mapping[str, Standing] = {}
    if not wanted:
        return {}
    try:
        async with asyncio.timeout(app.patience), aclosing(app.confirmations.follow(wanted)) as news:
            async for standing in news:
                if not any(_lacks(run, standing[id]) for id in wanted):
                    break
    except TimeoutError as error:
        raise _behind(run, app.patience, wanted, standing) from error
    still = [id for id in wanted if standing[id].confirmed is not None]
    return {"note": _left_out(run, [*still, *_not_asked(run)], "away meanwhile")}


def taking_back(restore: Restore) -> Callable[[Connection, Run, CloudError], CloudError]:
    """What ends a change that failed or was cancelled: what was before is again, or the change stands."""

    def failed(connection: Connection, run: Run, error: CloudError) -> CloudError:
        try:
            restore(connection, run.target_id, run.input["before"], run.input["after"])
            then = "It is as it was before."
        except CloudError as stands:
            then = f"It stays as the change made it. {stands.message}"
        said = CloudError(error.reason, f"{error.message} {then}")
        said.metadata.update(error.metadata)
        return said

    return failed


def never_taken_back(connection: Connection, run: Run, error: CloudError) -> None:
    """Nothing fails that is past its commit point from its beginning."""


def _lacks(run: Run, host: Standing) -> bool:
    if host.confirmed is None:
        return False
    return host.confirmed < run.input["revision"] or bool(_trouble(run, host))


def _trouble(run: Run, host: Standing) -> str:
    """What of the host's trouble concerns this change."""
    return next((host.trouble[id] for id in ("", *run.input["things"]) if id in host.trouble), "")


def _behind(run: Run, patience: float, wanted: list[str], standing: Mapping[str, Standing]) -> CloudError:
    lacking = [id for id in wanted if id not in standing or _lacks(run, standing[id])]
    details = (_trouble(run, standing[id]) for id in lacking if id in standing)
    detail = next(filter(None, details), "they did not say that they have it")
    message = f"{_names(lacking)} did not have it in {patience:g} s: {detail}."
    return CloudError(
        "HOSTS_BEHIND", message, hosts=",".join(lacking[:_NAMED]), count=len(lacking), detail=detail
    )


def _not_asked(run: Run) -> list[str]:
    return [id for id in run.input["hosts"] if id not in run.outputs[_TELL]["hosts"]]


def _left_out(run: Run, there: list[str], why: str) -> str:
    """Whom it did not wait for."""
    others = [id for id in run.input["hosts"] if id not in there]
    return f"Not waited for ({why}): {_names(others)}." if others else ""


def _names(ids: list[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{'host' if len(ids) == 1 else 'hosts'} {', '.join(ids[:_NAMED])}{more}"


_STEPS = (
    Step(_TELL, tell, local=True),
    Step(_HAVE, have_it, deadline=LONGEST_PATIENCE + 60.0, waits=True),
)


def _change(target_type: str, restore: Restore) -> Flow:
    failed = taking_back(restore)
    return Flow(f"{target_type}.change", target_type, _STEPS, deadline=_FLOW_SECONDS, failed=failed)


def _deletion(target_type: str) -> Flow:
    kind = f"{target_type}.delete"
    return Flow(kind, target_type, _STEPS, _FLOW_SECONDS, failed=never_taken_back, commit=AT_ONCE)


ROUTER_CHANGE = _change("router", snapshots.restore_router)
ROUTER_DELETE = _deletion("router")
FLOATING_IP_CHANGE = _change("floating_ip", snapshots.restore_floating_ip)
FLOATING_IP_DELETE = _deletion("floating_ip")
FLOWS = (ROUTER_CHANGE, ROUTER_DELETE, FLOATING_IP_CHANGE, FLOATING_IP_DELETE)
