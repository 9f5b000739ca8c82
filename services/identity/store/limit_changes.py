"""Word that limits, or who shares them, have changed: services ask for them again."""

from google.protobuf.empty_pb2 import Empty
from sqlalchemy import Connection

from mesh import outbox

EVENT = "limits"


def tell(connection: Connection, project_id: str) -> None:
    """Those of this project, or of who shares its limits; "" is the defaults."""
    outbox.append(connection, "UPDATED", EVENT, project_id, project_id, Empty())
