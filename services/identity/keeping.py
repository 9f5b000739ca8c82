"""Who may keep which credential with whom, and how each type of them is kept.

One of the type `ec2` is a delegation, so that it is the same thing however it was made: it lets in who signs
requests with its secret. All others are secrets that nothing here looks into.
"""

from typing import Annotated, Any

import msgspec

from mesh import ids
from mesh.caller import Caller
from mesh.errors import CloudError, invalid, not_found
from services.identity.model import Target, administers
from services.identity.programs import access_key, sealed_for
from services.identity.sealing import Seal
from services.identity.store import credentials, delegations, effective, projects, trees, users
from services.identity.store.chains import Kind
from services.identity.store.credentials import EC2


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """The blob of an EC2 credential. What signed requests name ends at these signs."""

    access: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^/,\s\x00-\x1f]+$")]
    secret: Annotated[str, msgspec.Meta(min_length=16)]


def require_undelegated(caller: Caller) -> None:
    """Raises PERMISSION_DENIED to delegated tokens: what a secret gives may be more than theirs."""
    if caller.delegation_id:
        message = "Your token came about by delegation, and credentials are not for such."
        raise CloudError("PERMISSION_DENIED", message, scope=caller.scope, role="")


def see(connection: Any, caller: Caller, id: str) -> Any:
    """The credential, for its user and who administers that user. Raises NOT_FOUND."""
    row = credentials.get(connection, id)
    if row.user_id != caller.user_id and not administers(
        caller, users.get(connection, row.user_id).domain_id
    ):
        raise not_found("credential", id)
    return row


def create(connection: Any, seal: Seal, caller: Caller, user_id: str, request: Any) -> Any:
    """A new credential of the user, whom the caller is or administers. Raises as CreateCredential."""
    credentials.hold_user(connection, user_id)
    lineage = _project(connection, caller, user_id, request.project_id) if request.project_id else []
    id = ids.new()
    if request.type == EC2:
        _create_key(connection, seal, id, user_id, _pair(request.blob), lineage)
        return credentials.get(connection, id)
    own = {
        "id": id,
        "type": request.type,
        "user_id": user_id,
        "project_id": request.project_id or None,
        "secret": seal.close(request.blob.encode(), _owner(id)),
    }
    credentials.create(connection, own)
    return credentials.get(connection, id)


def _create_key(connection: Any, seal: Seal, id: str, user_id: str, pair: Pair, lineage: list[Any]) -> None:
    if not lineage:
        raise invalid("project_id", "is needed for the type ec2")
    delegations.take_access_key(connection, pair.access, id)
    target = Target(lineage[0].id, lineage[0].domain_id)
    roles = effective.roles_on(connection, user_id, target, lineage)
    own = {
        "id": id,
        "owner_id": user_id,
        "project_id": target.project_id,
        "role_ids": delegations.role_ids(connection, roles, target.domain_id),
        "access_key": pair.access,
        "secret": seal.close(pair.secret.encode(), sealed_for(id)),
    }
    delegations.create(connection, Kind.EC2, own)


def _project(connection: Any, caller: Caller, user_id: str, id: str) -> list[Any]:
    """The project and those above it, held. Raises NOT_FOUND for one that is none of the caller's."""
    lineage = trees.lineage(connection, id, hold=True)
    own = user_id == caller.user_id and projects.is_of_user(connection, id, user_id)
    if not lineage or not (own or administers(caller, lineage[0].domain_id)):
        raise not_found("project", id)
    return lineage


def update(connection: Any, seal: Seal, row: Any, expected_revision: int, blob: str) -> Any:
    """Another blob in the place of a credential's. Raises as UpdateCredential."""
    if row.type == EC2:
        pair = _pair(blob)
        sealed = seal.close(pair.secret.encode(), sealed_for(row.id))
        delegations.change_key(connection, row.id, expected_revision, pair.access, sealed)
    else:
        sealed = seal.close(blob.encode(), _owner(row.id))
        credentials.update(connection, row.id, expected_revision, sealed)
    return credentials.get(connection, row.id)


def remove(connection: Any, row: Any, expected_revision: int) -> None:
    """Delete a credential; what an EC2 credential has given ends."""
    forget = delegations.remove if row.type == EC2 else credentials.remove
    forget(connection, row.id, expected_revision)


def told(type: str, blob: str) -> str:
    """A blob that was given as it is shown from then on."""
    return _document(_pair(blob)) if type == EC2 else blob


def blob(seal: Seal, row: Any) -> str:
    """The secret of a credential; of a pair that was made here its access key alone: that was told once."""
    if row.type != EC2:
        return seal.open(row.secret, _owner(row.id)).decode()
    if row.access_key is None:
        return msgspec.json.encode({"access": access_key(row)}).decode()
    return _document(Pair(row.access_key, seal.open(row.secret, sealed_for(row.id)).decode()))


def _pair(blob: str) -> Pair:
    try:
        return msgspec.json.decode(blob, type=Pair)
    except msgspec.DecodeError as error:
        raise invalid("blob", f"is no EC2 credential: {error}") from error


def _document(pair: Pair) -> str:
    return msgspec.json.encode(pair).decode()


def _owner(id: str) -> str:
    """What the secret of a credential is bound to."""
    return f"credential {id}"
