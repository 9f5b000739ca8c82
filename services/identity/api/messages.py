"""Rows as the messages of the contract."""

from functools import lru_cache
from typing import Any

from mesh import clock
from services.identity.keys import Key
from services.identity.login import Issued
from services.identity.store.effective import Effective
from services.identity.tokens import Claims
from weft.identity.v1 import resources_pb2 as pb
from weft.identity.v1.catalog_resources_pb2 import Region, Service
from weft.identity.v1.federation_resources_pb2 import IdentityProvider, MappingRule
from weft.identity.v1.token_service_pb2 import CreateTokenResponse


def _times(row: Any) -> dict[str, Any]:
    return {"created_at": clock.to_proto(row.created_at), "updated_at": clock.to_proto(row.updated_at)}


def domain(row: Any) -> pb.Domain:
    """A domain."""
    return pb.Domain(
        id=row.id,
        name=row.name,
        description=row.description,
        enabled=row.enabled,
        revision=row.revision,
        **_times(row),
    )


def project(row: Any) -> pb.Project:
    """A project."""
    return pb.Project(
        id=row.id,
        name=row.name,
        description=row.description,
        domain_id=row.domain_id,
        parent_id=row.parent_id or "",
        enabled=row.enabled,
        tags=row.tags,
        revision=row.revision,
        operation_id=row.operation_id or "",
        **_times(row),
    )


def user(row: Any) -> pb.User:
    """A user; the password's hash stays where it is."""
    return pb.User(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        description=row.description,
        email=row.email,
        enabled=row.enabled,
        default_project_id=row.default_project_id or "",
        password_expires_at=clock.to_proto(row.password_expires_at),
        password_change_due=row.password_change_due,
        password_rules_exempt=row.password_rules_exempt,
        second_factor_required=row.second_factor_required,
        revision=row.revision,
        **_times(row),
    )


def stranger(row: Any) -> pb.User:
    """What a user is told as to who does not administer them."""
    return pb.User(id=row.id, name=row.name, domain_id=row.domain_id)


def role(row: Any) -> pb.Role:
    """A role."""
    return pb.Role(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        description=row.description,
        revision=row.revision,
        **_times(row),
    )


def assignment(row: Any) -> pb.Assignment:
    """An assignment, with its role's name."""
    return pb.Assignment(
        id=row.id,
        user_id=row.user_id or "",
        group_id=row.group_id or "",
        role_id=row.role_id,
        role_name=row.role_name,
        project_id=row.project_id or "",
        domain_id=row.domain_id or "",
        system=row.system,
        inherited=row.inherited,
        created_at=clock.to_proto(row.created_at),
    )


def group(row: Any) -> pb.Group:
    """A group."""
    return pb.Group(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        description=row.description,
        revision=row.revision,
        **_times(row),
    )


def effective(found: Effective) -> pb.EffectiveAssignment:
    """A role that somebody has, and why."""
    return pb.EffectiveAssignment(
        user_id=found.user_id,
        role_id=found.role_id,
        role_name=found.role_name,
        origins=[
            pb.Origin(
                assignment_id=origin.assignment_id,
                group_id=origin.group_id,
                group_name=origin.group_name,
                from_project_id=origin.from_project_id,
                from_domain_id=origin.from_domain_id,
                implied_by=origin.path,
            )
            for origin in found.origins
        ],
    )


def identity_provider(row: Any) -> IdentityProvider:
    """An identity provider."""
    return IdentityProvider(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        description=row.description,
        enabled=row.enabled,
        issuer=row.issuer,
        audiences=row.audiences,
        jwks_url=row.jwks_url,
        certificate_authorities=row.certificate_authorities,
        rules=[MappingRule(**rule) for rule in row.rules],
        revision=row.revision,
        **_times(row),
    )


def region(row: Any) -> Region:
    """A region."""
    return Region(
        id=row.id,
        name=row.name,
        description=row.description,
        parent_id=row.parent_id or "",
        revision=row.revision,
        **_times(row),
    )


def service(row: Any) -> Service:
    """A service."""
    return Service(
        id=row.id,
        name=row.name,
        type=row.type,
        description=row.description,
        enabled=row.enabled,
        revision=row.revision,
        **_times(row),
    )


def endpoint(row: Any) -> pb.Endpoint:
    """An endpoint."""
    return pb.Endpoint(
        id=row.id,
        region=row.region,
        service_id=row.service_id,
        service_type=row.service_type,
        service_name=row.service_name,
        interface=row.interface,
        url=row.url,
        enabled=row.enabled,
        revision=row.revision,
        **_times(row),
    )


def token_info(claims: Claims, project_name: str) -> pb.TokenInfo:
    """What a token says; it does not carry the project's name."""
    return pb.TokenInfo(
        id=claims.token_id,
        user_id=claims.user_id,
        user_name=claims.user_name,
        user_domain_id=claims.user_domain_id,
        scope=claims.target.scope,
        project_id=claims.target.project_id,
        project_name=project_name,
        domain_id=claims.target.domain_id,
        roles=sorted(claims.roles),
        methods=claims.methods,
        issued_at=clock.to_proto(claims.issued_at),
        expires_at=clock.to_proto(claims.expires_at),
        delegation_id=claims.delegation_id,
        access_rules=sorted(claims.rules or ()),
    )


def issued(new: Issued) -> CreateTokenResponse:
    """A new token with its catalogue."""
    return CreateTokenResponse(
        token=new.token,
        info=token_info(new.claims, new.project_name),
        catalog=map(_catalogued, new.catalog),
    )


@lru_cache(maxsize=1024)
def _catalogued(row: Any) -> pb.Endpoint:
    """An endpoint, to be copied into answers: the same rows are told at each login."""
    return endpoint(row)


def signing_key(key: Key) -> pb.SigningKey:
    """The public half of a signing key."""
    return pb.SigningKey(
        kid=key.kid,
        public_key=key.public_bytes,
        algorithm="EdDSA",
        not_before=clock.to_proto(key.not_before),
        not_after=clock.to_proto(key.not_after),
    )
