"""Part of a unit of work that is done whole or leaves nothing, whatever becomes of the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from mesh.errors import CloudError


@contextmanager
def whole_or_nothing(connection: Connection) -> Iterator[None]:
    """Undo what the block did where it raises. WRONG_STATUS where rows that it needs are gone or taken."""
    try:
        with connection.begin_nested():
            yield
    except IntegrityError as error:
        message = "Something that it was made of is not there any more."
        raise CloudError("WRONG_STATUS", message, resource_type="", id="", status="", allowed="") from error
