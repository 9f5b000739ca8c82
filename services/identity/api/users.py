"""Users: who can log in."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from mesh.errors import CloudError, invalid, not_found, wrong_status
from services.identity import handing_on
from services.identity.api import messages, units
from services.identity.api.source import source
from services.identity.login import Login
from services.identity.model import administers, domain_reach, is_system
from services.identity.new_passwords import NewPasswords
from services.identity.store import providers, users
from weft.identity.v1 import user_service_pb2 as pb
from weft.identity.v1.resources_pb2 import User
from weft.identity.v1.user_service_pb2_grpc import UserServiceServicer

_CHANGEABLE = {
    "name": ...,
    "description": ...,
    "email": ...,
    "enabled": ...,
    "default_project_id": lambda id: id or None,
    "password_rules_exempt": ...,
    "second_factor_required": ...,
}


class Users(UserServiceServicer):
    """weft.identity.v1.UserService."""

    def __init__(
        self, database: Database, setting: NewPasswords, login: Login, project_admins: bool = False
    ) -> None:
        self._database, self._setting, self._login = database, setting, login
        self._project_admins = project_admins

    async def GetUser(self, request: pb.GetUserRequest, context: Any) -> User:
        """Oneself, or whom the caller administers."""
        caller = current()
        row = await self._database.read(users.get, request.id)
        if request.id != caller.user_id and not administers(caller, row.domain_id, "reader"):
            raise not_found("user", request.id)
        return messages.user(row)

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        """A page of the users that the caller administers."""
        caller = current()
        rows, more = await self._database.read(users.listed, request, caller, domain_reach(caller))
        return pb.ListUsersResponse(users=map(messages.user, rows), next_page_token=more)

    async def CreateUser(self, request: pb.CreateUserRequest, context: Any) -> User:
        """A new user."""
        values = {
            "name": request.name,
            "domain_id": units.own_domain(request.domain_id),
            "description": request.description,
            "email": request.email,
            "enabled": not request.disabled,
            "default_project_id": request.default_project_id or None,
            "password_rules_exempt": request.password_rules_exempt,
            "second_factor_required": request.second_factor_required,
        }
        if request.password:
            values |= await self._setting.for_another(request.password)

        def do(unit: Any) -> User:
            row = users.create(unit, values)
            self._setting.remember(unit, row.id, row.password_hash)
            return messages.user(row)

        return await mutation.change(self._database, request, User, do)

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Any) -> User:
        """Changes a user."""
        values = masks.apply(request.update_mask, request.user, _CHANGEABLE)
        units.named(values, "user")
        caller = current()

        def do(unit: Any) -> User:
            administered(unit, request.id, caller, self._project_admins)
            return messages.user(users.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, User, do)

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: Any) -> Empty:
        """Deletes a user."""
        caller = current()

        def do(unit: Any) -> None:
            administered(unit, request.id, caller, self._project_admins)
            users.remove(unit, request.id, request.expected_revision)

        return await mutation.delete(self._database, request, do)

    async def SetPassword(self, request: pb.SetPasswordRequest, context: Any) -> Empty:
        """One's own with the original; another's as an administrator."""
        caller = current()
        if (before := await mutation.before(self._database, request, Empty)) is not None:
            return before
        own = request.id == caller.user_id
        if own:
            await self._database.read(handing_on.continued, caller, None)
            if not request.original_password:
                raise invalid("original_password", "is needed to change one's own")
            row = await self._database.read(users.get, request.id)
            await self._login.prove(row, "", request.original_password, source(context))
            values = await self._setting.for_oneself(request.id, request.password)
        else:
            values = await self._setting.for_another(request.password)

        def do(unit: Any) -> Empty:
            if not own:
                administered(unit, request.id, caller, self._project_admins)
            _local(unit, request.id)
            self._setting.put(unit, request.id, values)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)


def administered(connection: Any, id: str, caller: Caller, project_admins: bool) -> None:
    """Raises NOT_FOUND for a user out of the caller's reach.

    Who may set a password may become that user: a domain's administrator must not become the system's, nor
    where `project_admins` administer the cloud one of those.
    """
    row = users.get(connection, id)
    if not administers(caller, row.domain_id):
        raise not_found("user", id)
    if is_system(caller):
        return
    if users.has_system_role(connection, id) or (project_admins and users.is_admin_anywhere(connection, id)):
        message = f"The user {id} has a role on the system: this needs a token for the system."
        raise CloudError("PERMISSION_DENIED", message, scope="system", role="admin")


def _local(connection: Any, id: str) -> None:
    """Raises WRONG_STATUS for a user of an identity provider: who set a password there could become somebody
    whose groups another vouches for.
    """
    if providers.is_federated(connection, id):
        raise wrong_status("user", id, "federated", ["local"])
