"""Logging in and out: Keystone's bodies around the contract's tokens."""

import asyncio
from typing import Any

import orjson
from starlette.responses import Response

from gateway.openstack import times
from gateway.openstack.call import Call, field
from gateway.openstack.faults import Refusal
from gateway.openstack.identity import catalog, roles
from gateway.openstack.upstream import act_for
from mesh.errors import CloudError
from weft.identity.v1 import domain_service_pb2, resources_pb2, token_service_pb2
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceStub
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

# The id that Keystone gives the domain that it makes first; clients send it unasked.
_DEFAULT_ID, _DEFAULT_NAME = "default", "Default"


async def create(call: Call) -> Response:
    """POST /v3/auth/tokens."""
    auth = await call.body("auth")
    identity = field(auth, "identity", dict)
    request = token_service_pb2.CreateTokenRequest()
    match field(identity, "methods", list):
        case ["password"]:
            request.password.CopyFrom(_password(field(field(identity, "password", dict), "user", dict)))
        case ["token"]:
            request.token.token = field(field(identity, "token", dict), "id", str)
        case ["application_credential"]:
            said = field(identity, "application_credential", dict)
            request.application_credential.CopyFrom(_application_credential(said))
        case methods:
            raise Refusal(401, f"There is no such way to prove who one is: {methods}.")
    if auth.get("scope"):
        request.scope.CopyFrom(_scope(auth["scope"]))
    answer = await call.stub(TokenServiceStub).CreateToken(request)
    act_for(answer.token, call.request.headers)
    document = await _document(call, answer.info)
    if answer.catalog and "nocatalog" not in call.query:
        document["catalog"] = catalog.grouped(answer.catalog)
    return _answer(answer.token, document, 201)


async def validate(call: Call) -> Response:
    """GET /v3/auth/tokens: what the subject token says."""
    subject, info = await _subject(call)
    document = await _document(call, info)
    if info.scope != "none" and "nocatalog" not in call.query:
        document["catalog"] = catalog.grouped(await catalog.enabled(call))
    return _answer(subject, document, 200)


async def check(call: Call) -> Response:
    """HEAD /v3/auth/tokens."""
    subject, _ = await _subject(call)
    return Response(status_code=200, headers={"x-subject-token": subject, "vary": "X-Auth-Token"})


async def revoke(call: Call) -> None:
    """DELETE /v3/auth/tokens: a token may end itself."""
    await _subject(call)
    await call.stub(TokenServiceStub).RevokeToken(token_service_pb2.RevokeTokenRequest())


async def _subject(call: Call) -> tuple[str, resources_pb2.TokenInfo]:
    """The subject token, what it says, and from here on the calls are its own; 404 where it does not hold."""
    stub, request = call.stub(TokenServiceStub), token_service_pb2.GetTokenRequest()
    await stub.GetToken(request)
    subject = call.request.headers.get("x-subject-token", "")
    if not subject:
        raise Refusal(400, "The header X-Subject-Token names the token; it is missing.")
    act_for(subject, call.request.headers)
    try:
        return subject, await stub.GetToken(request)
    except CloudError as error:
        if error.http_status != 401:
            raise
        raise Refusal(404, "Could not find token.") from error


async def _document(call: Call, info: resources_pb2.TokenInfo) -> dict[str, Any]:
    home, ids = await asyncio.gather(_domain(call, info.user_domain_id), roles.ids(call))
    user = {"id": info.user_id, "name": info.user_name, "domain": home, "password_expires_at": None}
    document: dict[str, Any] = {
        "methods": list(info.methods),
        "user": user,
        "audit_ids": [info.id],
        "issued_at": times.micros(info.issued_at),
        "expires_at": times.micros(info.expires_at),
    }
    if info.scope != "none":
        document["roles"] = [{"id": ids.get(name, name), "name": name} for name in info.roles]
    match info.scope:
        case "project":
            domain = home if info.domain_id == home["id"] else await _domain(call, info.domain_id)
            document["project"] = {"id": info.project_id, "name": info.project_name, "domain": domain}
            document["is_domain"] = False
        case "domain":
            document["domain"] = await _domain(call, info.domain_id)
        case "system":
            document["system"] = {"all": True}
    return document


async def _domain(call: Call, id: str) -> dict[str, str]:
    found = await call.stub(DomainServiceStub).GetDomain(domain_service_pb2.GetDomainRequest(id=id))
    return {"id": found.id, "name": found.name}


def _password(user: dict[str, Any]) -> token_service_pb2.PasswordCredential:
    return token_service_pb2.PasswordCredential(
        user_id=field(user, "id", str, ""),
        user_name=field(user, "name", str, ""),
        **_domain_of(user),
        password=field(user, "password", str),
    )


def _application_credential(said: dict[str, Any]) -> token_service_pb2.ApplicationCredentialSecret:
    user = field(said, "user", dict, {})
    domain = _domain_of(user)
    if "domain_id" in domain:
        raise Refusal(501, "Here the user's domain is named by its name: send domain.name for domain.id.")
    return token_service_pb2.ApplicationCredentialSecret(
        id=field(said, "id", str, ""),
        name=field(said, "name", str, ""),
        user_id=field(user, "id", str, ""),
        user_name=field(user, "name", str, ""),
        secret=field(said, "secret", str),
        **domain,
    )


def _domain_of(document: dict[str, Any]) -> dict[str, str]:
    """The domain that a body names, by id or by name; one id is a name."""
    domain = field(document, "domain", dict, {})
    id = field(domain, "id", str, "")
    if id and id != _DEFAULT_ID:
        return {"domain_id": id}
    return {"domain_name": _DEFAULT_NAME if id else field(domain, "name", str, "")}


def _scope(scope: Any) -> resources_pb2.Scope:
    match scope:
        case "unscoped" | {"unscoped": _}:
            return resources_pb2.Scope()
        case {"system": {"all": True}}:
            return resources_pb2.Scope(system=True)
        case {"OS-TRUST:trust": {"id": str(id)}}:
            return resources_pb2.Scope(trust_id=id)
        case {"project": {"id": str(id)}}:
            return resources_pb2.Scope(project_id=id)
        case {"project": {"name": str(name), **rest}}:
            named = resources_pb2.NamedProject(name=name, **_domain_of(rest))
            return resources_pb2.Scope(project=named)
        case {"domain": {"id": str(id)}} if id != _DEFAULT_ID:
            return resources_pb2.Scope(domain_id=id)
        case {"domain": dict()}:
            return resources_pb2.Scope(**_domain_of(scope))
        case _:
            raise Refusal(400, "scope: must be a project, a domain, the system, a trust or unscoped.")


def _answer(token: str, document: dict[str, Any], status: int) -> Response:
    headers = {"x-subject-token": token, "vary": "X-Auth-Token"}
    return Response(orjson.dumps({"token": document}), status, headers, media_type="application/json")
