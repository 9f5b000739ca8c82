"""People who hand rights on, and programs and trustees who use them."""

from typing import Any

from tests.services.identity.conftest import PASSWORD, Cloud, Person, Scope, password_login
from weft.identity.v1 import application_credential_service_pb2 as credential_pb
from weft.identity.v1 import token_service_pb2 as token_pb
from weft.identity.v1 import trust_service_pb2 as trust_pb
from weft.identity.v1.application_credential_service_pb2_grpc import ApplicationCredentialServiceStub
from weft.identity.v1.trust_service_pb2_grpc import TrustServiceStub


def credentials(person: Person) -> ApplicationCredentialServiceStub:
    """The application credentials as this person sees them."""
    return person.client.stub(ApplicationCredentialServiceStub)


def trusts(person: Person) -> TrustServiceStub:
    """The trusts as this person sees them."""
    return person.client.stub(TrustServiceStub)


async def credential(person: Person, name: str = "robot", **more: Any) -> credential_pb.ApplicationCredential:
    """A new application credential of this person's."""
    request = credential_pb.CreateApplicationCredentialRequest(name=name, **more)
    return await credentials(person).CreateApplicationCredential(request)


async def trust(person: Person, trustee_id: str, **more: Any) -> trust_pb.Trust:
    """A new trust of this person's."""
    return await trusts(person).CreateTrust(trust_pb.CreateTrustRequest(trustee_user_id=trustee_id, **more))


def program_login(made: Any, scope: Any = None, **other: Any) -> token_pb.CreateTokenRequest:
    """A login by an application credential."""
    said = {"id": made.id, "secret": made.secret, **other}
    return token_pb.CreateTokenRequest(
        application_credential=token_pb.ApplicationCredentialSecret(**said), scope=scope
    )


async def program(world: Cloud, made: Any, scope: Any = None) -> Person:
    """The program that has the application credential, logged in."""
    return world.bearer(await world.nobody().tokens.CreateToken(program_login(made, scope)))


async def trustee(world: Cloud, name: str, trust_id: str, password: str = PASSWORD) -> Person:
    """Somebody who takes up a trust."""
    request = password_login(name, Scope(trust_id=trust_id), password)
    return world.bearer(await world.nobody().tokens.CreateToken(request))
