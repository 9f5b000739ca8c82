"""What every change of rights does: one at a time, and with the tokens that it makes untrue revoked."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row

from mesh import locks
from services.identity.model import Target
from services.identity.store import revocations, trees


def change(connection: Connection) -> None:
    """No other unit changes who has which rights until this one ends.

    What gives a right (to a group, by an implication, to a member) and what takes it away then see each
    other's whole work. Logins do not wait: they hold the user's row, and so does `withdraw`.
    """
    locks.hold(connection, "identity rights")


def withdraw(connection: Connection, user_id: str, given: Iterable[Row[Any]]) -> None:
    """The user has these assignments no longer: revoke the tokens for what they reach."""
    revocations.hold_user(connection, user_id)
    targets = {(row.project_id or "", row.domain_id or "", row.inherited) for row in given}
    for project_id, domain_id, inherited in sorted(targets):
        _revoke(connection, user_id, Target(project_id, domain_id), inherited)


def _revoke(connection: Connection, user_id: str, target: Target, inherited: bool) -> None:
    """A right on the system is told from none by no field of a revocation: all the user's tokens go."""
    if not target.project_id:
        revocations.add(connection, user_id=user_id, domain_id=target.domain_id)
        return
    reached = trees.below(connection, target.project_id) if inherited else [target.project_id]
    for project_id in reached:
        revocations.add(connection, user_id=user_id, project_id=project_id)
