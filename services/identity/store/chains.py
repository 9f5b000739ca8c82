"""A delegation with all that it was made by way of, and what it gives now."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select, update

from mesh import access_rules, clock
from services.identity.model import Target
from services.identity.store import effective, implications, rows
from services.identity.tables import delegations, roles

# Each link makes a token longer by some ids, and a token has to fit into a header.
LONGEST = 8


class Kind(StrEnum):
    """What a delegation is."""

    APPLICATION_CREDENTIAL = "application_credential"
    TRUST = "trust"
    EC2 = "ec2_credential"


@dataclass(frozen=True, slots=True)
class Chain:
    """The links from the one whose rights they are to the one that is used."""

    links: tuple[Row[Any], ...]

    @property
    def leaf(self) -> Row[Any]:
        """The one that is used."""
        return self.links[-1]

    @property
    def owner_id(self) -> str:
        """Whose rights they are: nobody in the chain ever has more of them."""
        return str(self.links[0].owner_id)

    @property
    def user_id(self) -> str:
        """The user whom its tokens name."""
        lent = self.leaf.kind == Kind.TRUST and not self.leaf.impersonate
        return str(self.leaf.trustee_id if lent else self.owner_id)

    @property
    def users(self) -> list[str]:
        """Ids of all who had a hand in it, and without whom it gives nothing; in one order for all."""
        return sorted({id for link in self.links for id in (link.owner_id, link.trustee_id) if id})

    @property
    def rules(self) -> frozenset[str] | None:
        """What every link lets its tokens call; None is everything."""
        found = None
        for link in self.links:
            found = access_rules.both(found, link.access_rules or None)
        return found

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the links ends."""
        return min((link.expires_at for link in self.links if link.expires_at), default=None)


def of(connection: Connection, id: str) -> Chain | None:
    """The chain that ends with this delegation, None when there is none."""
    links: list[Row[Any]] = []
    while id and len(links) < LONGEST:
        row = rows.find(connection, delegations, id)
        if row is None:
            return None
        links.append(row)
        id = row.parent_id
    return Chain(tuple(reversed(links))) if links and not id else None


def hold(connection: Connection, chain: Chain) -> bool:
    """Keep every link from being deleted until the unit ends; False when one is gone already."""
    return all(
        rows.hold(connection, delegations, link.id, alone=link.uses_left is not None) for link in chain.links
    )


def use(connection: Connection, chain: Chain) -> bool:
    """Count a token against every link that gives so many only; False when one gives no more."""
    for link in chain.links:
        if link.uses_left is None:
            continue
        left = (delegations.c.id == link.id, delegations.c.uses_left > 0)
        less = {"uses_left": delegations.c.uses_left - 1, "updated_at": clock.now()}
        change = update(delegations).where(*left).values(less)
        if connection.execute(change.returning(delegations.c.id)).first() is None:
            return False
    return True


def rights(connection: Connection, chain: Chain, target: Target, lineage: list[Row[Any]]) -> frozenset[str]:
    """Names of the roles that the owner has on the target now, as far as every link hands them on."""
    found = effective.roles_on(connection, chain.owner_id, target, lineage)
    graph = implications.graph(connection)
    for link in chain.links:
        given = {id for start in link.role_ids for id in implications.reached(graph, start)}
        found &= frozenset(connection.scalars(select(roles.c.name).where(roles.c.id.in_(given))))
    return found
