"""Passwords that guests have left, each once."""

from sqlalchemy import Connection, bindparam, delete, insert, select

from mesh.errors import CloudError
from mesh.prepared import Prepared
from services.compute.tables import passwords

_OF = passwords.c.server_id == bindparam("id")
_GET = Prepared(select(passwords.c.encrypted).where(_OF))
_FORGET = Prepared(delete(passwords).where(_OF))


def get(connection: Connection, server_id: str) -> str:
    """As it was left; empty when nothing was."""
    return _GET.scalar(connection, id=server_id) or ""


def keep(connection: Connection, server_id: str, encrypted: str) -> None:
    """Keep it, of a server that was read locked. Raises ALREADY_EXISTS when there is one."""
    if get(connection, server_id):
        message = f"The guest of the server {server_id} has left a password before: clear that first."
        raise CloudError("ALREADY_EXISTS", message, resource_type="password", name=server_id)
    connection.execute(insert(passwords).values(server_id=server_id, encrypted=encrypted))


def forget(connection: Connection, server_id: str) -> None:
    """Forget it, if there is one."""
    _FORGET.run(connection, id=server_id)
