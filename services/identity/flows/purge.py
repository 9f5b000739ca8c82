"""All that a project has is deleted, in every service, and the project with it where that is asked for.

    step                   does                                              undo
    look                   refuses, while others use what would go           -
    close project          disables it: nobody makes anything new            as enabled as it was
    delete servers         and so on, a step for each kind                   - (what is deleted stays deleted)
    look again             back to the first kind, while there is anything   -
    settle                 credentials and trusts for it go; the project     -
                           goes, or is opened again; the commit point

Who asks for it acts in the project, with the roles that they have. What fails or is cancelled leaves what is
left as it was; the next purge goes on with that.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mesh.channel import Peers
from mesh.database import Connection, Database
from mesh.errors import CloudError
from mesh.flow import Flow, Reschedule, Run, Step
from mesh.together import all_of
from services.identity.blocked import why_not
from services.identity.holdings import KINDS, Estate, Kind
from services.identity.store import purges

# Seconds. Servers go within seconds each, large volumes in minutes, and some at a time.
_KIND_SECONDS, _LOOK_SECONDS, _FLOW_SECONDS = 1800.0, 120.0, 14_400.0
_AT_ONCE = 8
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class App:
    """The database and the other services."""

    database: Database
    peers: Peers


async def look(run: Run) -> None:
    """Raises IN_USE for the first thing that must not go."""
    for kind, thing in await _all(_estate(run)):
        if blocked := await why_not(_estate(run), kind, thing):
            raise _in_use(kind, thing, blocked)


def close_project(connection: Connection, run: Run) -> None:
    """Tokens for it are refused from here on."""
    purges.close(connection, run.target_id)


def open_project(connection: Connection, run: Run) -> None:
    """As it was."""
    if run.input["enabled"]:
        purges.open_again(connection, run.target_id)


def delete_all(kind: Kind) -> Callable[[Run], Awaitable[None]]:
    """The step that deletes all of a kind."""

    async def delete(run: Run) -> None:
        estate = _estate(run)
        things = await estate.listed(kind)
        await all_of((estate.delete(kind, thing) for thing in things), _AT_ONCE)

    return delete


async def look_again(run: Run) -> None:
    """What came meanwhile, as by a request that was under way when the project was closed, goes too."""
    for kind, thing in await _all(_estate(run)):
        raise Reschedule(
            _step_of(KINDS[0]), {}, _in_use(kind, thing, "It came after the others were deleted.")
        )


def settle(connection: Connection, run: Run) -> None:
    """What identity itself has of it."""
    purges.forget_own(connection, run.target_id)
    if run.input["delete_project"]:
        purges.remove(connection, run.target_id)
    else:
        open_project(connection, run)
        purges.end(connection, run.target_id)


def not_purged(connection: Connection, run: Run, error: CloudError) -> None:
    """The project keeps what is left of it."""
    purges.end(connection, run.target_id)


async def _all(estate: Estate) -> list[tuple[Kind, Any]]:
    found = await all_of(estate.listed(kind) for kind in KINDS)
    return [(kind, thing) for kind, things in zip(KINDS, found, strict=True) for thing in things]


def _estate(run: Run) -> Estate:
    return Estate(run.app.peers, run.target_id, run.caller)


def _in_use(kind: Kind, thing: Any, why: str) -> CloudError:
    words = kind.type.replace("_", " ")
    message = f"The {words} {thing.id} of the project cannot be deleted. {why}"
    return CloudError("IN_USE", message, resource_type=kind.type, id=thing.id, used_by_type="", used_by_id="")


def _step_of(kind: Kind) -> str:
    return f"delete {kind.type.replace('_', ' ')}s"


PURGE = Flow(
    kind="project.purge",
    target_type="project",
    steps=(
        Step("look", look, None, _LOOK_SECONDS),
        Step("close project", close_project, open_project, local=True),
        *(Step(_step_of(kind), delete_all(kind), None, _KIND_SECONDS, _ATTEMPTS) for kind in KINDS),
        Step("look again", look_again, None, _LOOK_SECONDS),
        Step("settle", settle, None, local=True),
    ),
    deadline=_FLOW_SECONDS,
    failed=not_purged,
)
