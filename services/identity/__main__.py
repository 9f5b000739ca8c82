"""Identity as a process: `python -m services.identity`."""

import asyncio
import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mesh import server
from mesh.caller import Caller, Kind
from mesh.database import Database
from mesh.server import Runtime, Service
from mesh.settings import Settings, SettingsError
from services.identity import reconcile
from services.identity.api import (
    application_credentials,
    audit,
    catalog,
    credentials,
    domains,
    ec2_credentials,
    federation,
    groups,
    implications,
    joins,
    keys,
    limits,
    operations,
    policies,
    projects,
    regions,
    roles,
    tokens,
    totp,
    trusts,
    users,
)
from services.identity.bootstrap import bootstrap
from services.identity.federated_login import FederatedLogin
from services.identity.flows import FLOWS
from services.identity.flows.purge import App
from services.identity.hosts import HostCertificates
from services.identity.id_tokens import IdTokens
from services.identity.keys import KeyRing
from services.identity.login import Login
from services.identity.model import LONGEST_TOKEN
from services.identity.new_passwords import NewPasswords
from services.identity.password_rules import PasswordRules
from services.identity.passwords import Passwords
from services.identity.programs import Programs
from services.identity.provider_keys import ProviderKeys
from services.identity.sealing import Seal
from services.identity.second_factor import SecondFactor
from services.identity.tables import TABLES
from services.identity.tokens import Tokens
from services.identity.verifier import LocalVerifier
from weft.identity.v1 import (
    application_credential_service_pb2_grpc,
    audit_service_pb2_grpc,
    catalog_service_pb2_grpc,
    credential_service_pb2_grpc,
    domain_service_pb2_grpc,
    ec2_credential_service_pb2_grpc,
    federation_service_pb2_grpc,
    group_service_pb2_grpc,
    implication_service_pb2_grpc,
    join_service_pb2_grpc,
    key_service_pb2_grpc,
    limit_service_pb2_grpc,
    operation_service_pb2_grpc,
    policy_service_pb2_grpc,
    project_service_pb2_grpc,
    region_service_pb2_grpc,
    role_service_pb2_grpc,
    token_service_pb2_grpc,
    totp_service_pb2_grpc,
    trust_service_pb2_grpc,
    user_service_pb2_grpc,
)

_log = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"


Servicers = list[tuple[Any, Any]]


async def build(runtime: Runtime) -> Service:
    """Identity's servicers, on a database with an administrator in it."""
    settings, database = runtime.settings, runtime.database
    _refuse(settings)
    ring = await asyncio.to_thread(KeyRing, settings.state / "identity" / "keys")
    signer = Tokens(ring, settings.cloud.name, timedelta(seconds=settings.identity.token_seconds))
    passwords = Passwords()
    verifier = LocalVerifier(database, signer)
    seal = await asyncio.to_thread(Seal, settings.state / "identity" / "sealing.key")
    lockout = settings.identity.lockout_failures
    second = SecondFactor(database, seal, settings.cloud.name, lockout)
    project_admins = settings.identity.project_admins_administer_cloud
    if project_admins:
        _log.warning("who has the role admin on any project administers the whole cloud, as is set")
    login = Login(database, signer, passwords, lockout, second, project_admins)
    programs = Programs(database, signer, seal)
    federated = FederatedLogin(database, signer, IdTokens(database, ProviderKeys()))
    setting = NewPasswords(database, passwords, PasswordRules.of(settings.identity))
    trail = audit.Audit(database)
    runtime.trail.send = partial(trail.keep, caller=Caller(Kind.SERVICE, service=runtime.name))
    await bootstrap(database, settings, passwords)
    servicers: Servicers = [
        (audit_service_pb2_grpc.add_AuditServiceServicer_to_server, trail),
        (
            credential_service_pb2_grpc.add_CredentialServiceServicer_to_server,
            credentials.Credentials(database, seal, project_admins),
        ),
        (
            ec2_credential_service_pb2_grpc.add_Ec2CredentialServiceServicer_to_server,
            ec2_credentials.Ec2Credentials(database, programs, seal),
        ),
        (key_service_pb2_grpc.add_KeyServiceServicer_to_server, keys.Keys(database, ring, verifier)),
        (
            token_service_pb2_grpc.add_TokenServiceServicer_to_server,
            tokens.TokenService(database, login, programs, federated, verifier, setting),
        ),
        (
            user_service_pb2_grpc.add_UserServiceServicer_to_server,
            users.Users(database, setting, login, project_admins),
        ),
        (
            totp_service_pb2_grpc.add_TotpServiceServicer_to_server,
            totp.TotpDevices(database, second, login, project_admins),
        ),
        *_of_rows(database, project_admins),
        *_of_projects(runtime),
        *_of_hosts(runtime),
    ]
    upkeep = reconcile.upkeep(database, ring, settings.identity.audit_days)
    return Service(servicers, background=[upkeep.run], verifier=verifier)


def _refuse(settings: Settings) -> None:
    """Raises SettingsError for what cannot be."""
    life = timedelta(seconds=settings.identity.token_seconds)
    if not timedelta(minutes=1) <= life <= LONGEST_TOKEN:
        raise SettingsError("identity.token_seconds: expected 60 to 86400")
    if settings.identity.audit_days < 1:
        raise SettingsError("identity.audit_days: expected 1 or more")


def _of_rows(database: Database, project_admins: bool) -> Servicers:
    """Those that need nothing but the database."""
    return [
        (
            application_credential_service_pb2_grpc.add_ApplicationCredentialServiceServicer_to_server,
            application_credentials.ApplicationCredentials(database),
        ),
        (catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server, catalog.Catalog(database)),
        (domain_service_pb2_grpc.add_DomainServiceServicer_to_server, domains.Domains(database)),
        (
            federation_service_pb2_grpc.add_FederationServiceServicer_to_server,
            federation.Federation(database),
        ),
        (group_service_pb2_grpc.add_GroupServiceServicer_to_server, groups.Groups(database, project_admins)),
        (
            implication_service_pb2_grpc.add_ImplicationServiceServicer_to_server,
            implications.Implications(database),
        ),
        (limit_service_pb2_grpc.add_LimitServiceServicer_to_server, limits.Limits(database)),
        (policy_service_pb2_grpc.add_PolicyServiceServicer_to_server, policies.Policies(database)),
        (region_service_pb2_grpc.add_RegionServiceServicer_to_server, regions.Regions(database)),
        (role_service_pb2_grpc.add_RoleServiceServicer_to_server, roles.Roles(database, project_admins)),
        (trust_service_pb2_grpc.add_TrustServiceServicer_to_server, trusts.Trusts(database)),
    ]


def _of_projects(runtime: Runtime) -> Servicers:
    """Projects, and their purges in all services."""
    app = App(runtime.database, runtime.peers)
    runtime.use_flows(FLOWS, app)
    return [
        (project_service_pb2_grpc.add_ProjectServiceServicer_to_server, projects.Projects(app)),
        (
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            operations.Operations(runtime.database),
        ),
    ]


def _of_hosts(runtime: Runtime) -> Servicers:
    """How machines become hosts, by the authority that this process has at hand."""
    certificates = HostCertificates(runtime.authority)
    tokens_of_hosts = joins.JoinTokens(runtime.database, certificates, runtime.settings.gateway.address)
    joining = joins.Joining(runtime.database, certificates)
    return [
        (join_service_pb2_grpc.add_JoinTokenServiceServicer_to_server, tokens_of_hosts),
        (join_service_pb2_grpc.add_JoinServiceServicer_to_server, joining),
    ]


if __name__ == "__main__":
    server.main("identity", build, TABLES)
