"""Devices that make one-time codes."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import clock, mutation
from mesh.caller import Caller, current
from mesh.database import Database
from mesh.errors import invalid, not_found
from services.identity import handing_on
from services.identity.api.source import source
from services.identity.api.users import administered
from services.identity.login import Login
from services.identity.model import administers
from services.identity.second_factor import SecondFactor
from services.identity.store import totp, users
from weft.identity.v1 import totp_service_pb2 as pb
from weft.identity.v1.totp_service_pb2_grpc import TotpServiceServicer


class TotpDevices(TotpServiceServicer):
    """weft.identity.v1.TotpService."""

    def __init__(
        self, database: Database, second: SecondFactor, login: Login, project_admins: bool = False
    ) -> None:
        self._database, self._second, self._login = database, second, login
        self._project_admins = project_admins

    async def GetTotp(self, request: pb.GetTotpRequest, context: Any) -> pb.Totp:
        """One's own, or that of whom the caller administers."""
        caller = current()

        def find(connection: Any) -> pb.Totp:
            _user(connection, request.user_id, caller)
            return _message(totp.get(connection, request.user_id))

        return await self._database.read(find)

    async def CreateTotp(self, request: pb.CreateTotpRequest, context: Any) -> pb.Totp:
        """A new one. The secret is added to the first answer only: what replays give is without it."""
        caller = current()
        if (before := await mutation.before(self._database, request, pb.Totp)) is not None:
            return before
        user = await self._database.read(_managed, request.user_id, caller, self._project_admins)
        if user.id == caller.user_id:
            if not request.password:
                raise invalid("password", "is needed for one's own")
            await self._login.prove(user, "", request.password, source(context))
        sealed, secret, uri = self._second.new(user.id, user.name)
        made = []

        def do(unit: Any) -> pb.Totp:
            made.append(_message(totp.put(unit, user.id, sealed)))
            return made[-1]

        answer = await mutation.change(self._database, request, pb.Totp, do)
        if made:
            answer.secret, answer.uri = secret, uri
        return answer

    async def ConfirmTotp(self, request: pb.ConfirmTotpRequest, context: Any) -> pb.Totp:
        """Shows that it works."""
        caller = current()
        await self._database.read(_managed, request.user_id, caller, self._project_admins)
        device = await self._database.read(totp.get, request.user_id)
        if not device.confirmed:
            await self._second.prove(request.user_id, request.totp_code, source(context), confirm=True)
        return _message(await self._database.read(totp.get, request.user_id))

    async def DeleteTotp(self, request: pb.DeleteTotpRequest, context: Any) -> Empty:
        """Forgets it."""
        caller = current()
        if (before := await mutation.before(self._database, request, Empty)) is not None:
            return before
        await self._database.read(_managed, request.user_id, caller, self._project_admins)
        device = await self._database.read(totp.get, request.user_id)
        if request.user_id == caller.user_id and device.confirmed:
            if not request.totp_code:
                raise invalid("totp_code", "is needed for one's own")
            await self._second.prove(request.user_id, request.totp_code, source(context))

        def do(unit: Any) -> Empty:
            totp.remove(unit, request.user_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)


def _user(connection: Any, id: str, caller: Caller) -> Any:
    """The user: oneself, or whom the caller administers. Raises NOT_FOUND."""
    row = users.get(connection, id)
    if id != caller.user_id and not administers(caller, row.domain_id):
        raise not_found("user", id)
    return row


def _managed(connection: Any, id: str, caller: Caller, project_admins: bool) -> Any:
    """The same, for who may change how the user logs in. Raises PERMISSION_DENIED to delegated tokens."""
    row = _user(connection, id, caller)
    if id != caller.user_id:
        administered(connection, id, caller, project_admins)
    handing_on.continued(connection, caller, None)
    return row


def _message(row: Any) -> pb.Totp:
    return pb.Totp(user_id=row.user_id, confirmed=row.confirmed, created_at=clock.to_proto(row.created_at))
