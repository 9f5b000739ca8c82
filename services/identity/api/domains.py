"""Domains: realms of users and projects."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from mesh import masks, mutation
from mesh.caller import current
from mesh.database import Database
from services.identity.api import messages, units
from services.identity.model import domain_reach
from services.identity.store import domains
from weft.identity.v1 import domain_service_pb2 as pb
from weft.identity.v1.domain_service_pb2_grpc import DomainServiceServicer
from weft.identity.v1.resources_pb2 import Domain


class Domains(DomainServiceServicer):
    """weft.identity.v1.DomainService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetDomain(self, request: pb.GetDomainRequest, context: Any) -> Domain:
        """One's own domain, or for the system any."""
        caller = current()
        reach = domain_reach(caller)
        if request.id in (caller.user_domain_id, caller.domain_id):
            reach = None
        return messages.domain(await self._database.read(domains.get, request.id, reach))

    async def ListDomains(self, request: pb.ListDomainsRequest, context: Any) -> pb.ListDomainsResponse:
        """A page of domains."""
        rows, more = await self._database.read(domains.listed, request, current())
        return pb.ListDomainsResponse(domains=map(messages.domain, rows), next_page_token=more)

    async def ListMyDomains(self, request: pb.ListMyDomainsRequest, context: Any) -> pb.ListDomainsResponse:
        """A page of the domains that the caller has a role on."""
        rows, more = await self._database.read(domains.of_user, request, current())
        return pb.ListDomainsResponse(domains=map(messages.domain, rows), next_page_token=more)

    async def CreateDomain(self, request: pb.CreateDomainRequest, context: Any) -> Domain:
        """A new domain."""
        values = {
            "name": request.name,
            "description": request.description,
            "enabled": not request.disabled,
        }
        return await mutation.change(
            self._database, request, Domain, lambda unit: messages.domain(domains.create(unit, values))
        )

    async def UpdateDomain(self, request: pb.UpdateDomainRequest, context: Any) -> Domain:
        """Changes a domain."""
        values = masks.apply(request.update_mask, request.domain, ["name", "description", "enabled"])
        units.named(values, "domain")

        def do(unit: Any) -> Domain:
            return messages.domain(domains.update(unit, request.id, request.expected_revision, values))

        return await mutation.change(self._database, request, Domain, do)

    async def DeleteDomain(self, request: pb.DeleteDomainRequest, context: Any) -> Empty:
        """Deletes a disabled, empty domain."""
        return await mutation.delete(
            self._database, request, lambda unit: domains.remove(unit, request.id, request.expected_revision)
        )
