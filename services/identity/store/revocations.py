"""Tokens that hold no longer: rows with an event each, so that every process hears of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from mesh import clock, outbox
from mesh.prepared import Prepared
from services.identity.model import LONGEST_TOKEN
from services.identity.store import rows
from services.identity.tables import revocations, users
from weft.identity.v1.resources_pb2 import Revocation

EVENT = "revocation"
# Asked at every call of identity's with a token.
_HIT = Prepared(
    select(revocations.c.revision)
    .where(revocations.c.issued_before > bindparam("issued_at", type_=revocations.c.issued_before.type))
    .where(
        *(
            revocations.c[f"{kind}_id"].in_(bindparam(kind, expanding=True))
            for kind in ("token", "user", "project", "domain")
        )
    )
    .limit(1)
)


def add(
    connection: Connection,
    *,
    token_id: str = "",
    user_id: str = "",
    project_id: str = "",
    domain_id: str = "",
) -> None:
    """Revoke the tokens issued until now that match everything given. The unit holds what it is about."""
    now = clock.now()
    values = {
        "token_id": token_id,
        "user_id": user_id,
        "project_id": project_id,
        "domain_id": domain_id,
        "issued_before": now,
        "expires_at": now + LONGEST_TOKEN,
    }
    message = to_proto(values)
    revision = outbox.append(connection, "CREATED", EVENT, token_id or user_id, project_id, message)
    connection.execute(insert(revocations).values({**values, "revision": revision}))


def hold_user(connection: Connection, user_id: str) -> None:
    """No token is issued to the user while this unit lasts."""
    rows.hold(connection, users, user_id, alone=True)


def in_force(connection: Connection, after: int = 0) -> list[Row[Any]]:
    """Every revocation after that revision which is still in force, in order."""
    query = select(revocations).where(revocations.c.revision > after, revocations.c.expires_at > clock.now())
    return list(connection.execute(query.order_by(revocations.c.revision)))


def hit(
    connection: Connection,
    token_ids: tuple[str, ...],
    user_ids: tuple[str, ...],
    project_id: str,
    domain_ids: tuple[str, ...],
    issued_at: datetime,
) -> bool:
    """Whether a token that says this is revoked."""
    said = {"token": token_ids, "user": user_ids, "project": (project_id,), "domain": domain_ids}
    lists = {kind: ["", *dict.fromkeys(ids)] for kind, ids in said.items()}
    return _HIT.scalar(connection, issued_at=issued_at, **lists) is not None


def forget(connection: Connection) -> int:
    """Delete those that no living token can match; how many there were."""
    return connection.execute(delete(revocations).where(revocations.c.expires_at < clock.now())).rowcount


def to_proto(values: Any, revision: int = 0) -> Revocation:
    """A row or its values as the contract's message."""
    return Revocation(
        revision=revision,
        token_id=values["token_id"],
        user_id=values["user_id"],
        project_id=values["project_id"],
        domain_id=values["domain_id"],
        issued_before=clock.to_proto(values["issued_before"]),
        expires_at=clock.to_proto(values["expires_at"]),
    )
