"""What a delegation may have a token for, at one moment."""

from sqlalchemy import Connection

from mesh import clock
from services.identity.model import Target, Wanted
from services.identity.store import chains, memberships, scopes
from services.identity.store.chains import Chain, Kind
from services.identity.store.scopes import Delegated, Grant, refused


def by_credential(connection: Connection, id: str, wanted: Wanted | None) -> Grant:
    """For who has proven to know its secret; nothing but its own project may be asked for.

    Raises UNAUTHENTICATED, as do all of these.
    """
    chain = _there(connection, id)
    if chain.leaf.kind == Kind.TRUST:
        raise refused()
    return _used(connection, chain, wanted)


def by_trustee(connection: Connection, id: str, user_id: str) -> Grant:
    """For the trustee of a trust, who has proven to be that."""
    chain = _there(connection, id)
    if chain.leaf.kind != Kind.TRUST or chain.leaf.trustee_id != user_id:
        raise refused()
    return _used(connection, chain, None)


def again(connection: Connection, id: str, wanted: Wanted | None) -> Grant:
    """For who has a token by it: the same once more, with what it gives now."""
    return grant(connection, _there(connection, id), wanted)


def _there(connection: Connection, id: str) -> Chain:
    chain = chains.of(connection, id)
    if chain is None:
        raise refused()
    return chain


def _used(connection: Connection, chain: Chain, wanted: Wanted | None) -> Grant:
    found = grant(connection, chain, wanted)
    if not chains.use(connection, chain):
        raise refused()
    return found


def grant(connection: Connection, chain: Chain, wanted: Wanted | None = None) -> Grant:
    """What the chain gives now. Raises UNAUTHENTICATED.

    Users, project and links are held in this order, until the unit ends; see scopes.grant.
    """
    users = {id: scopes.live_user(connection, id) for id in chain.users}
    lineage = scopes.live_project(connection, chain.leaf.project_id)
    target = Target(chain.leaf.project_id, lineage[0].domain_id)
    if wanted is not None and scopes.found(connection, wanted).project_id != target.project_id:
        raise refused()
    if not chains.hold(connection, chain):
        raise refused()
    roles, at = chains.rights(connection, chain, target, lineage), clock.now()
    if not roles or (chain.expires_at is not None and chain.expires_at <= at):
        raise refused()
    user = users.pop(chain.user_id)
    others = {id for each in users.values() for id in (each.id, each.domain_id)} - {user.domain_id}
    ids = tuple(link.id for link in chain.links)
    # What the owner has for some time only is handed on for no longer.
    ends = [end for end in (chain.expires_at, memberships.first_end(connection, chain.owner_id)) if end]
    by = Delegated(ids, tuple(sorted(others)), chain.rules, min(ends, default=None))
    return Grant(user, target, lineage[0].name, roles, at, by)
