"""Identity providers elsewhere."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict

from mesh import ids, masks, mutation
from mesh.caller import current
from mesh.database import Database
from mesh.errors import invalid
from services.identity.api import messages, units
from services.identity.client_certificates import check_authorities
from services.identity.provider_keys import check_url
from services.identity.store import providers
from weft.identity.v1 import federation_service_pb2 as pb
from weft.identity.v1.federation_resources_pb2 import IdentityProvider, MappingRule
from weft.identity.v1.federation_service_pb2_grpc import FederationServiceServicer

# How a provider vouches; the first, its issuer, never changes.
_ID_TOKENS, _CERTIFICATES = ("issuer", "audiences", "jwks_url"), ("certificate_authorities",)


class Federation(FederationServiceServicer):
    """weft.identity.v1.FederationService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetIdentityProvider(
        self, request: pb.GetIdentityProviderRequest, context: Any
    ) -> IdentityProvider:
        """One provider."""
        return messages.identity_provider(await self._database.read(providers.get, request.id))

    async def ListIdentityProviders(
        self, request: pb.ListIdentityProvidersRequest, context: Any
    ) -> pb.ListIdentityProvidersResponse:
        """A page of providers."""
        rows, more = await self._database.read(providers.listed, request, current())
        found = map(messages.identity_provider, rows)
        return pb.ListIdentityProvidersResponse(identity_providers=found, next_page_token=more)

    async def CreateIdentityProvider(
        self, request: pb.CreateIdentityProviderRequest, context: Any
    ) -> IdentityProvider:
        """A new provider."""
        values = {
            **{name: getattr(request, name) for name in ("name", "description")},
            **_vouching(request),
            "domain_id": units.own_domain(request.domain_id),
            "enabled": not request.disabled,
        }

        def do(unit: Any) -> IdentityProvider:
            return messages.identity_provider(providers.create(unit, values))

        return await mutation.change(self._database, request, IdentityProvider, do)

    async def UpdateIdentityProvider(
        self, request: pb.UpdateIdentityProviderRequest, context: Any
    ) -> IdentityProvider:
        """Changes a provider."""
        allowed = ["name", "description", "enabled", "rules", *_ID_TOKENS[1:], *_CERTIFICATES]
        values = masks.apply(request.update_mask, request.identity_provider, allowed)
        units.named(values, "identity_provider")
        values = _checked(values, "identity_provider.")

        def do(unit: Any) -> IdentityProvider:
            row = providers.update(unit, request.id, request.expected_revision, values)
            return messages.identity_provider(row)

        return await mutation.change(self._database, request, IdentityProvider, do)

    async def DeleteIdentityProvider(self, request: pb.DeleteIdentityProviderRequest, context: Any) -> Empty:
        """Deletes a disabled provider with its users."""
        return await mutation.delete(
            self._database,
            request,
            lambda unit: providers.remove(unit, request.id, request.expected_revision),
        )


def _vouching(request: pb.CreateIdentityProviderRequest) -> dict[str, Any]:
    """How a new provider does it: by ID tokens or by certificates. Raises INVALID_ARGUMENT."""
    by_certificate = bool(request.certificate_authorities)
    mine, others = (_CERTIFICATES, _ID_TOKENS) if by_certificate else (_ID_TOKENS, _CERTIFICATES)
    for name in others:
        if getattr(request, name):
            raise invalid(name, "goes without certificate_authorities")
    if not by_certificate:
        check_url("issuer", request.issuer)
    own = {"audiences": [], "jwks_url": "", "certificate_authorities": ""}
    own |= _checked({name: getattr(request, name) for name in (*mine, "rules")}, "")
    return own | ({"issuer": f"urn:uuid:{ids.new()}"} if by_certificate else {})


def _checked(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The same as they are kept. Raises INVALID_ARGUMENT."""
    if values.get("jwks_url"):
        check_url(f"{prefix}jwks_url", values["jwks_url"])
    if "certificate_authorities" in values:
        _check_authorities(f"{prefix}certificate_authorities", values["certificate_authorities"])
    kept = {name: list(value) if name in ("audiences", "rules") else value for name, value in values.items()}
    for name in kept.keys() & {"audiences", "rules"}:
        if not kept[name]:
            raise invalid(f"{prefix}{name}", "must have one at least")
    if "rules" in kept:
        kept["rules"] = [_kept(rule) for rule in kept["rules"]]
        if not any(rule.get("user_name") for rule in kept["rules"]):
            raise invalid(f"{prefix}rules", "one at least must give a user_name")
    return kept


def _check_authorities(field: str, pem: str) -> None:
    try:
        check_authorities(pem)
    except ValueError as error:
        raise invalid(field, f"must be certificates (PEM) of authorities: {error}") from error


def _kept(rule: MappingRule) -> dict[str, Any]:
    return MessageToDict(rule, preserving_proto_field_name=True)
