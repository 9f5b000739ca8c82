"""Tokens: logging in and out."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import mutation, peer
from mesh.caller import Kind, current
from mesh.database import Database
from mesh.errors import invalid
from services.identity.api import messages
from services.identity.api.source import source
from services.identity.federated_login import FederatedLogin
from services.identity.login import Login, Person
from services.identity.model import DEFAULT_DOMAIN, Wanted, need_system
from services.identity.new_passwords import NewPasswords
from services.identity.programs import Programs, Said
from services.identity.signatures import Request
from services.identity.store import projects, revocations
from services.identity.tokens import not_ours
from services.identity.verifier import LocalVerifier
from weft.identity.v1 import resources_pb2
from weft.identity.v1 import token_service_pb2 as pb
from weft.identity.v1.token_service_pb2_grpc import TokenServiceServicer


class TokenService(TokenServiceServicer):
    """weft.identity.v1.TokenService."""

    def __init__(
        self,
        database: Database,
        login: Login,
        programs: Programs,
        federated: FederatedLogin,
        verifier: LocalVerifier,
        setting: NewPasswords,
    ) -> None:
        self._database, self._login, self._programs = database, login, programs
        self._federated, self._verifier, self._setting = federated, verifier, setting

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Any) -> pb.CreateTokenResponse:
        """A token for who proves who they are."""
        wanted = _wanted(request.scope) if request.HasField("scope") else None
        match request.WhichOneof("credential"):
            case "password":
                person = _person("password", request.password, request.totp_code)
                return await self._login.by_password(person, wanted, source(context), messages.issued)
            case "receipt":
                if not request.totp_code:
                    raise invalid("totp_code", "is needed with a receipt")
                receipt, code = request.receipt.receipt, request.totp_code
                issued = await self._login.by_receipt(receipt, code, wanted, source(context))
            case "application_credential":
                issued = await self._programs.by_secret(_program(request.application_credential), wanted)
            case "signed":
                issued = await self._programs.by_signature(signed(request.signed), wanted)
            case "token":
                issued = await self._login.by_token(request.token.token, wanted)
            case "id_token":
                given_id = request.id_token
                issued = await self._federated.by_id_token(given_id.token, given_id.nonce, wanted)
            case "client_certificate":
                shown = peer.client_certificate(context, self._federated.cloud, context.invocation_metadata())
                name = request.client_certificate.provider
                issued = await self._federated.by_certificate(name, shown, wanted, source(context))
            case _:
                raise invalid("credential", "give one of those that the contract knows")
        return messages.issued(issued)

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Any) -> Empty:
        """Sets one's own password, by the one until now."""
        person = _person("user", request.user, request.totp_code)
        user = await self._login.known_fully(person, source(context))
        values = await self._setting.for_oneself(user.id, request.password)
        await self._database.write(self._setting.replace, user, values)
        return Empty()

    async def GetToken(self, request: pb.GetTokenRequest, context: Any) -> resources_pb2.TokenInfo:
        """What the caller's own token says."""
        if current().kind is not Kind.USER:
            raise not_ours()
        metadata = dict(context.invocation_metadata())
        return await describe(
            self._database, self._verifier, metadata["authorization"].removeprefix("Bearer ").strip()
        )

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Any) -> Empty:
        """Makes a token worthless."""
        caller = current()
        token_id = request.token_id or caller.token_id
        if not token_id:
            raise invalid("token_id", "name the token: the caller has none")
        if token_id != caller.token_id:
            need_system(caller, "Revoking another's token")

        def do(unit: Any) -> Empty:
            revocations.add(unit, token_id=token_id)
            return Empty()

        return await mutation.change(self._database, request, Empty, do)


async def describe(database: Database, verifier: LocalVerifier, token: str) -> resources_pb2.TokenInfo:
    """What a token says that holds. Raises UNAUTHENTICATED, TOKEN_EXPIRED or TOKEN_REVOKED."""
    claims = await verifier.claims(token)
    name = ""
    if claims.target.project_id:
        name = (await database.read(projects.get, claims.target.project_id)).name
    return messages.token_info(claims, name)


def _person(field: str, given: pb.PasswordCredential, code: str) -> Person:
    if bool(given.user_id) == bool(given.user_name):
        raise invalid(f"{field}.user_name", "give either user_id or user_name")
    named = (given.user_id, given.domain_name, given.user_name)
    return Person(*named, given.password, code, given.domain_id)


def _program(given: pb.ApplicationCredentialSecret) -> Said:
    if bool(given.id) == bool(given.name):
        raise invalid("application_credential.id", "give either id, or name and user")
    if given.name and bool(given.user_id) == bool(given.user_name):
        raise invalid("application_credential.user_name", "give either user_id or user_name")
    return Said(
        given.id,
        given.name,
        given.user_id,
        given.user_name,
        given.domain_name or DEFAULT_DOMAIN,
        given.secret,
    )


def signed(given: pb.SignedHttp) -> Request:
    """A signed request of the contract."""
    headers: dict[str, list[str]] = {}
    for header in given.headers:
        headers.setdefault(header.name.lower(), []).append(header.value)
    return Request(given.method, given.path, given.query, headers, given.payload_hash)


def _wanted(scope: resources_pb2.Scope) -> Wanted:
    match scope.WhichOneof("target"):
        case "project_id":
            return Wanted(project_id=scope.project_id)
        case "project":
            return Wanted(
                project_name=scope.project.name,
                domain_id=scope.project.domain_id,
                domain_name=scope.project.domain_name or DEFAULT_DOMAIN,
            )
        case "domain_id":
            return Wanted(domain_id=scope.domain_id)
        case "domain_name":
            return Wanted(domain_name=scope.domain_name or DEFAULT_DOMAIN)
        case "system":
            if not scope.system:
                raise invalid("scope.system", "must be true")
            return Wanted(system=True)
        case "trust_id":
            return Wanted(trust_id=scope.trust_id)
        case _:
            return Wanted()
