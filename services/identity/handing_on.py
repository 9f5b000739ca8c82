"""Who may hand on which of their rights, and who may end that."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from mesh import clock
from mesh.caller import Caller
from mesh.errors import CloudError, invalid, not_found
from services.identity.model import Wanted, administers, need_system
from services.identity.store import chains, delegated, delegations, scopes, users
from services.identity.store.chains import Chain, Kind
from services.identity.store.scopes import Grant


def prepare(
    connection: Any, caller: Caller, kind: Kind, roles: Collection[str], expires_at: datetime | None
) -> tuple[dict[str, Any], Chain | None]:
    """The values of a new delegation by which the caller hands on these roles (all, when none is named), and
    the chain that it continues.

    Raises PERMISSION_DENIED to who may not, and INVALID_ARGUMENT for an end that is past or too late.
    """
    if caller.scope != "project" or not caller.user_id:
        raise invalid("scope", "rights are handed on with a token for their project")
    chain = continued(connection, caller, kind)
    held = _held(connection, caller, chain)
    values = {
        "owner_id": (chain.leaf.trustee_id or chain.leaf.owner_id) if chain else caller.user_id,
        "parent_id": chain.leaf.id if chain else None,
        "project_id": held.target.project_id,
        "role_ids": _role_ids(connection, held, frozenset(roles)),
        "expires_at": _end(expires_at, chain),
    }
    return values, chain


def continued(connection: Any, caller: Caller, kind: Kind | None) -> Chain | None:
    """The chain that the caller's token came about by, None for none, when such a token may make a delegation
    of that kind; `kind` None: when it may manage credentials at all. Raises PERMISSION_DENIED.
    """
    if not caller.delegation_id:
        return None
    chain = chains.of(connection, caller.delegation_id)
    if chain is None:
        raise CloudError("TOKEN_REVOKED", "The token was revoked: log in again.")
    passed_on = kind is Kind.TRUST and chain.leaf.redelegation_left > 0
    if not (chain.leaf.unrestricted or passed_on) or (kind and len(chain.links) >= chains.LONGEST):
        message = "Your token came about by delegation, and may not hand on or manage rights and credentials."
        raise CloudError("PERMISSION_DENIED", message, scope=caller.scope, role="")
    return chain


def _held(connection: Any, caller: Caller, chain: Chain | None) -> Grant:
    """What the caller has on the project now, which may be less than when the token was given."""
    if chain is not None:
        return delegated.grant(connection, chain)
    return scopes.grant(connection, caller.user_id, Wanted(project_id=caller.project_id))


def _role_ids(connection: Any, held: Grant, wanted: frozenset[str]) -> list[str]:
    missing = wanted - held.roles
    if missing:
        named = ", ".join(sorted(missing))
        message = f"You cannot hand on what you do not have yourself: {named}."
        raise CloudError("PERMISSION_DENIED", message, scope=held.target.scope, role=named)
    return delegations.role_ids(connection, wanted or held.roles, held.target.domain_id)


def _end(wanted: datetime | None, chain: Chain | None) -> datetime | None:
    latest = chain.expires_at if chain else None
    if wanted is None:
        return latest
    if wanted <= clock.now():
        raise invalid("expires_at", "is past")
    if latest is not None and wanted > latest:
        raise invalid("expires_at", f"is after {latest.isoformat()}, when what it is made by ends")
    return wanted


def see(connection: Any, caller: Caller, kind: Kind, id: str) -> Any:
    """The delegation, for its owner, its trustee and those who administer its owner. Raises NOT_FOUND."""
    row = delegations.get(connection, kind, id)
    concerned = bool(caller.user_id) and caller.user_id in (row.owner_id, row.trustee_id)
    if not concerned and not _administered(connection, caller, row.owner_id):
        raise not_found(kind, id)
    return row


def end(connection: Any, caller: Caller, kind: Kind, id: str, expected_revision: int) -> None:
    """Delete the delegation. Raises NOT_FOUND as `see`, PERMISSION_DENIED to who has no say in it."""
    row = see(connection, caller, kind, id)
    if not _administered(connection, caller, row.owner_id):
        continued(connection, caller, None)
        if caller.user_id != row.owner_id:
            message = f"The {kind} {id} is another's to end: who gave it, or an administrator."
            raise CloudError("PERMISSION_DENIED", message, scope=caller.scope, role="")
    delegations.remove(connection, id, expected_revision)


def of_whom(connection: Any, caller: Caller, request: Any, what: str) -> str:
    """The user whose things a request lists: oneself, or whom one administers; "" is everybody's.

    Raises NOT_FOUND, and PERMISSION_DENIED to who does not administer everybody.
    """
    if not request.all_users:
        return whose(connection, caller, request.user_id)
    need_system(caller, f"To list everybody's {what}")
    if request.user_id:
        raise invalid("user_id", "not with all_users")
    return ""


def whose(connection: Any, caller: Caller, user_id: str) -> str:
    """The user whose delegations are asked for: oneself, or whom one administers. Raises NOT_FOUND."""
    if user_id and user_id != caller.user_id and not _administered(connection, caller, user_id):
        raise not_found("user", user_id)
    return user_id or caller.user_id


def _administered(connection: Any, caller: Caller, user_id: str) -> bool:
    return administers(caller, users.get(connection, user_id).domain_id)
