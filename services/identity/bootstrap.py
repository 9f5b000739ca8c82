"""What a new cloud begins with: the roles, a domain, a project, and the first administrator.

The roles, limits and endpoints are made when missing, at every start; the rest only in an empty database.
"""

import asyncio
import os
import secrets
import uuid
from pathlib import Path
from typing import Any

from mesh import locks
from mesh.database import Database
from mesh.settings import Settings
from services.identity.model import DEFAULT_DOMAIN, DEFAULT_LIMITS, DEFAULT_ROLES, IMPLIES, Target
from services.identity.passwords import Passwords
from services.identity.store import (
    assignments,
    domains,
    endpoints,
    implications,
    limits,
    projects,
    roles,
    users,
)

ADMIN = "admin"
# Service type, name, and the path below the gateway where its OpenStack dialect is. Only those that answer:
# a client believes what the catalogue says.
CATALOG = (
    ("identity", "weft-identity", "/identity"),
    ("compute", "weft-compute", "/compute/v2.1"),
    ("placement", "weft-placement", "/placement"),
    ("image", "weft-image", "/image"),
    ("network", "weft-network", "/network"),
    ("block-storage", "weft-block", "/volume/v3"),
    ("volumev3", "weft-block", "/volume/v3"),
)
_NAMESPACE = uuid.UUID("3b0b7e8c-52c5-5a7f-9a0f-0d5b7c6f8e21")


async def bootstrap(database: Database, settings: Settings, passwords: Passwords) -> None:
    """Bring an empty database to a cloud that its administrator can log in to."""
    stored = ""
    if not await database.read(domains.any_there):
        file = settings.state / "identity" / "admin-password"
        given = settings.identity.admin_password
        stored = await passwords.hashed(given or await asyncio.to_thread(_generated, file))
    await database.write(_fill, stored, f"https://{settings.gateway.address}", settings.cloud.region)


def _generated(file: Path) -> str:
    """The password in the file, which is made if absent; only its owner may read it."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    password = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w") as out:
        out.write(password + "\n")
    return password


def _fill(connection: Any, admin_password_hash: str, gateway: str, region: str) -> None:
    locks.hold(connection, "identity bootstrap")
    for name, description in DEFAULT_ROLES.items():
        if not roles.there(connection, name):
            roles.create(connection, {"name": name, "description": description})
    for name, implied in IMPLIES.items():
        for each in implied:
            implications.put(connection, roles.named(connection, name).id, roles.named(connection, each).id)
    for (service, resource), limit in DEFAULT_LIMITS.items():
        limits.put_missing(connection, service, resource, limit)
    for service_type, name, path in CATALOG:
        for interface in ("public", "internal", "admin"):
            said = {"region": region, "service_type": service_type, "interface": interface}
            id = str(uuid.uuid5(_NAMESPACE, repr(sorted(said.items()))))
            values = {"region": region, "interface": interface, "url": gateway + path}
            endpoints.keep(connection, id, (service_type, name), values)
    if admin_password_hash and not domains.any_there(connection):
        _first_administrator(connection, admin_password_hash)


def _first_administrator(connection: Any, password_hash: str) -> None:
    domain = domains.create(connection, {"name": DEFAULT_DOMAIN, "description": "The first domain."})
    project = projects.create(
        connection,
        {"name": ADMIN, "domain_id": domain.id, "description": "The administrator's own project."},
    )
    user = users.create(
        connection,
        {
            "name": ADMIN,
            "domain_id": domain.id,
            "default_project_id": project.id,
            "password_hash": password_hash,
        },
    )
    role = roles.named(connection, ADMIN)
    for target in (Target(system=True), Target(project_id=project.id)):
        assignments.grant(connection, assignments.Holder(user.id), role, target, inherited=False)
