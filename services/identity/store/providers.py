"""Identity providers elsewhere, and the users that they brought."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from mesh import locks
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, invalid, not_found, wrong_status
from services.identity.mapping import Mapped
from services.identity.store import revocations, rows, scopes, users
from services.identity.tables import domains, federated_users, groups
from services.identity.tables import identity_providers as providers
from services.identity.tables import users as user_table

_OF_ID_TOKENS, _OF_CERTIFICATES = frozenset({"audiences", "jwks_url"}), frozenset({"certificate_authorities"})


def get(connection: Connection, id: str) -> Row[Any]:
    """The provider. Raises NOT_FOUND."""
    return rows.get(connection, providers, id)


def of_issuer(connection: Connection, issuer: str) -> Row[Any] | None:
    """The enabled provider that issues such ID tokens, or None."""
    return _enabled(connection, providers.c.issuer == issuer, providers.c.certificate_authorities == "")


def of_certificates(connection: Connection, name: str) -> Row[Any] | None:
    """The enabled provider of that name that has certificate authorities, or None."""
    return _enabled(connection, providers.c.name == name, providers.c.certificate_authorities != "")


def _enabled(connection: Connection, *which: Any) -> Row[Any] | None:
    return connection.execute(select(providers).where(providers.c.enabled, *which)).one_or_none()


def listed(connection: Connection, request: Any, caller: Caller) -> tuple[list[Row[Any]], str]:
    """A page of providers, and the token of the next."""
    return rows.listed(connection, providers, request, caller, "name", "domain_id")


def create(connection: Connection, values: dict[str, Any]) -> Row[Any]:
    """A new provider. Raises NOT_FOUND for the domain, ALREADY_EXISTS."""
    if rows.hold(connection, domains, values["domain_id"]) is None:
        raise not_found("domain", values["domain_id"])
    _refuse_taken(connection, "", values)
    return rows.add(connection, providers, "identity provider", values)


def _refuse_taken(connection: Connection, id: str, values: dict[str, Any]) -> None:
    locks.hold(connection, "identity providers")
    for name in ("name", "issuer"):
        taken = select(providers.c.id).where(providers.c[name] == values.get(name), providers.c.id != id)
        if connection.scalar(taken):
            raise rows.name_taken("identity provider", values[name])


def update(connection: Connection, id: str, expected_revision: int, values: dict[str, Any]) -> Row[Any]:
    """Change a provider; disabling it revokes the tokens of its users. Raises ALREADY_EXISTS, and
    INVALID_ARGUMENT for what one of its kind has not.
    """
    _refuse_taken(connection, id, values)
    before = rows.hold(connection, providers, id, alone=True)
    if before is not None:
        _refuse_other_kind(before, values)
    row = compare_and_swap(connection, providers, id, expected_revision, values)
    if before is not None and before.enabled and not row.enabled:
        for user_id in _users_of(connection, id):
            revocations.hold_user(connection, user_id)
            revocations.add(connection, user_id=user_id)
    return row


def _refuse_other_kind(row: Row[Any], values: dict[str, Any]) -> None:
    others = _OF_ID_TOKENS if row.certificate_authorities else _OF_CERTIFICATES
    for name in others & values.keys():
        raise invalid(f"identity_provider.{name}", "is not for a provider of this kind")


def remove(connection: Connection, id: str, expected_revision: int) -> None:
    """Delete a disabled provider with its users. Raises WRONG_STATUS."""
    rows.hold(connection, providers, id, alone=True)
    row = compare_and_swap(connection, providers, id, expected_revision, {})
    if row.enabled:
        raise wrong_status("identity provider", id, "enabled", ["disabled"])
    for user_id in _users_of(connection, id):
        users.remove(connection, user_id, 0)
    connection.execute(delete(providers).where(providers.c.id == id))


def _users_of(connection: Connection, id: str) -> list[str]:
    query = select(federated_users.c.user_id).where(federated_users.c.provider_id == id)
    return list(connection.scalars(query.order_by(federated_users.c.user_id)))


def user_of(connection: Connection, provider_id: str, subject: str, said: Mapped) -> str:
    """The id of the user whom the provider calls `subject`, made at the first login.

    Nobody who is here already becomes it because of a name. Raises UNAUTHENTICATED when the provider is not
    there any more, or is disabled, or when the name is another's.
    """
    provider = rows.hold(connection, providers, provider_id)
    if provider is None or not provider.enabled:
        raise scopes.refused()
    locks.hold(connection, f"identity federated {provider_id} {subject}")
    key = (federated_users.c.provider_id == provider_id, federated_users.c.subject == subject)
    found = connection.scalar(select(federated_users.c.user_id).where(*key))
    return str(found) if found else _made(connection, provider, subject, said)


def _made(connection: Connection, provider: Row[Any], subject: str, said: Mapped) -> str:
    values = {"name": said.user_name, "email": said.email, "domain_id": provider.domain_id}
    try:
        user = users.create(connection, values)
    except CloudError as error:
        raise scopes.refused() from error
    link = {"provider_id": provider.id, "subject": subject, "user_id": user.id}
    connection.execute(insert(federated_users).values(link))
    return str(user.id)


def is_federated(connection: Connection, user_id: str) -> bool:
    """Whether the user was brought by a provider."""
    query = select(federated_users.c.user_id).where(federated_users.c.user_id == user_id)
    return connection.scalar(query) is not None


def groups_named(connection: Connection, user_id: str, names: Iterable[str]) -> list[str]:
    """Ids of the groups of these names in the user's domain; others are passed over."""
    own = select(user_table.c.domain_id).where(user_table.c.id == user_id).scalar_subquery()
    query = select(groups.c.id).where(groups.c.domain_id == own, groups.c.name.in_(sorted(names)))
    return list(connection.scalars(query.order_by(groups.c.id)))
