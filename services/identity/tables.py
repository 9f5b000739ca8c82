"""The tables of identity."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from mesh import clock, ids, tables
from mesh.columns import Id, Json, Timestamp

TABLES = MetaData()
tables.add_to(TABLES)


def _columns() -> list[Column[Any]]:
    """What every noun of identity has."""
    return [
        Id("id", primary_key=True, default=ids.new),
        Column("name", String(255), nullable=False),
        Column("description", Text, nullable=False, default=""),
        Column("created_at", Timestamp, nullable=False, default=clock.now),
        Column("updated_at", Timestamp, nullable=False, default=clock.now),
        Column("revision", BigInteger, nullable=False, default=1),
    ]


domains = Table(
    "domains",
    TABLES,
    *_columns(),
    Column("enabled", Boolean, nullable=False, default=True),
    UniqueConstraint("name"),
    Index("domains_by_age", "created_at", "id"),
)

projects = Table(
    "projects",
    TABLES,
    *_columns(),
    Id("domain_id", ForeignKey("domains.id"), nullable=False),
    Id("parent_id", ForeignKey("projects.id"), nullable=True, index=True),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("tags", Json, nullable=False, default=list),
    Id("operation_id", nullable=True),
    UniqueConstraint("domain_id", "name"),
    Index("projects_by_age", "created_at", "id"),
    Index("projects_of_domain_by_age", "domain_id", "created_at", "id"),
    Index("projects_by_name", "name"),
)

users = Table(
    "users",
    TABLES,
    *_columns(),
    Id("domain_id", ForeignKey("domains.id"), nullable=False),
    Column("email", String(255), nullable=False, default=""),
    Column("enabled", Boolean, nullable=False, default=True),
    Id("default_project_id", nullable=True),
    Column("password_hash", Text, nullable=False, default=""),
    Column("password_expires_at", Timestamp, nullable=True),
    Column("password_change_due", Boolean, nullable=False, default=False, server_default=false()),
    Column("password_rules_exempt", Boolean, nullable=False, default=False, server_default=false()),
    Column("second_factor_required", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("domain_id", "name"),
    Index("users_by_age", "created_at", "id"),
    Index("users_of_domain_by_age", "domain_id", "created_at", "id"),
    Index("users_by_name", "name"),
)

groups = Table(
    "groups",
    TABLES,
    *_columns(),
    Id("domain_id", ForeignKey("domains.id"), nullable=False),
    UniqueConstraint("domain_id", "name"),
    Index("groups_by_age", "created_at", "id"),
    Index("groups_of_domain_by_age", "domain_id", "created_at", "id"),
)

memberships = Table(
    "memberships",
    TABLES,
    Id("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("expires_at", Timestamp, nullable=True, index=True),
)

# Who vouches for users elsewhere, by OpenID Connect or by the certificates of its authorities (PEM).
identity_providers = Table(
    "identity_providers",
    TABLES,
    *_columns(),
    Id("domain_id", ForeignKey("domains.id"), nullable=False, index=True),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("issuer", String(1024), nullable=False),
    Column("audiences", Json, nullable=False),
    Column("jwks_url", String(1024), nullable=False),
    Column("rules", Json, nullable=False),
    Column("certificate_authorities", Text, nullable=False, default="", server_default=""),
    UniqueConstraint("name"),
    UniqueConstraint("issuer"),
    info={"resource_type": "identity provider"},
)

# The users that they brought; the subject is what the provider calls one.
federated_users = Table(
    "federated_users",
    TABLES,
    Id("provider_id", ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True),
)

# The empty domain_id is that of the global roles.
roles = Table(
    "roles",
    TABLES,
    *_columns(),
    Id("domain_id", nullable=False, default=""),
    UniqueConstraint("domain_id", "name"),
)

# Who has the first role has the second.
implications = Table(
    "implications",
    TABLES,
    Id("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Id("implied_role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

# Exactly one of user_id and group_id says who has the role; of project_id, domain_id and system, what it is
# on. A login looks for one user's on one lineage: the indices begin with who, then say where.
assignments = Table(
    "assignments",
    TABLES,
    Id("id", primary_key=True),
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=True),
    Id("group_id", ForeignKey("groups.id", ondelete="CASCADE"), nullable=True),
    Id("role_id", ForeignKey("roles.id", ondelete="CASCADE"), nullable=False, index=True),
    Id("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=True, index=True),
    Id("domain_id", ForeignKey("domains.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("system", Boolean, nullable=False, default=False),
    Column("inherited", Boolean, nullable=False, default=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Index("assignments_by_age", "created_at", "id"),
    Index("assignments_of_user", "user_id", "project_id", "domain_id"),
    Index("assignments_of_group", "group_id", "project_id", "domain_id"),
)

# Rights on a project that their owner hands on: to a program (an application or EC2 credential) or to another
# user (a trust). What was made by way of one has that as its parent, and goes with it. Role ids and access
# rules are lists; an empty one of rules is no bounds. The secret is a hash, or sealed if it is needed again.
# Signed requests name an EC2 credential by its access key, or where it has none by its id without the dashes.
delegations = Table(
    "delegations",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("kind", String(32), nullable=False),
    Column("name", String(255), nullable=True),
    Column("description", Text, nullable=False, default=""),
    Id("owner_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Id("trustee_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("impersonate", Boolean, nullable=False, default=False),
    Id("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role_ids", Json, nullable=False),
    Column("access_rules", Json, nullable=False, default=list),
    Column("unrestricted", Boolean, nullable=False, default=False),
    Column("expires_at", Timestamp, nullable=True),
    Id("parent_id", ForeignKey("delegations.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("uses_left", Integer, nullable=True),
    Column("redelegation_left", Integer, nullable=False, default=0),
    Column("secret", Text, nullable=False, default=""),
    Column("access_key", String(255), nullable=True),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Column("revision", BigInteger, nullable=False, default=1),
    UniqueConstraint("owner_id", "kind", "name"),
    Index("delegations_by_age", "created_at", "id"),
    Index("delegations_by_access_key", "access_key", unique=True),
)

# What programs keep with a user, sealed, but for EC2 credentials: those are delegations.
credentials = Table(
    "credentials",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("type", String(255), nullable=False),
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Id("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("secret", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Column("revision", BigInteger, nullable=False, default=1),
    Index("credentials_by_age", "created_at", "id"),
    Index("credentials_of_user_by_age", "user_id", "created_at", "id"),
)

regions = Table(
    "regions",
    TABLES,
    *_columns(),
    Id("parent_id", ForeignKey("regions.id"), nullable=True),
    UniqueConstraint("name"),
)

services = Table(
    "services",
    TABLES,
    *_columns(),
    Column("type", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    UniqueConstraint("type", "name"),
)

# The region is one's name, which does not change.
endpoints = Table(
    "endpoints",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("region", String(255), nullable=False),
    Id("service_id", ForeignKey("services.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("interface", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Column("revision", BigInteger, nullable=False, default=1),
)

# The empty project_id is the default of all projects.
limits = Table(
    "limits",
    TABLES,
    Column("service", String(255), primary_key=True),
    Column("resource", String(255), primary_key=True),
    Id("project_id", primary_key=True),
    Column("limit", BigInteger, nullable=False),
)

# The revision is that of the event that told of it. Empty means any.
revocations = Table(
    "revocations",
    TABLES,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("token_id", String(64), nullable=False, default=""),
    Id("user_id", nullable=False, default=""),
    Id("project_id", nullable=False, default=""),
    Id("domain_id", nullable=False, default=""),
    Column("issued_before", Timestamp, nullable=False, index=True),
    Column("expires_at", Timestamp, nullable=False, index=True),
)

# Whose login failed (a user's id, or a digest of a name that nobody has), and where from.
login_failures = Table(
    "login_failures",
    TABLES,
    Column("subject", String(64), primary_key=True),
    Column("source", String(255), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Timestamp, nullable=False, index=True),
)

# Hashes of the passwords that a user had, the present one included.
old_passwords = Table(
    "old_passwords",
    TABLES,
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("set_at", Timestamp, primary_key=True),
    Column("password_hash", Text, nullable=False),
)

# Where users have logged in from by password: they are heard from there whatever strangers do elsewhere.
login_sources = Table(
    "login_sources",
    TABLES,
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(255), primary_key=True),
    Column("last_at", Timestamp, nullable=False, index=True),
)

# What lets a host have its certificates: by digests of the token's secret and, once used, of the host's key.
join_tokens = Table(
    "join_tokens",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("name", String(255), nullable=False),
    Id("host_id", nullable=False, index=True),
    Column("secret_digest", String(64), nullable=False),
    Column("key_digest", String(64), nullable=True),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("used_at", Timestamp, nullable=True),
    Column("revoked_at", Timestamp, nullable=True),
    Id("created_by", nullable=False),
    Index("join_tokens_by_age", "created_at", "id"),
)
join_tokens.info["resource_type"] = "join token"

# Who did what, written once: an event of the contract, one column a field. Empty is what there was none of.
audit_events = Table(
    "audit_events",
    TABLES,
    Id("id", primary_key=True),
    Column("at", Timestamp, nullable=False),
    Column("action", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("initiator_type", String(64), nullable=False),
    Column("initiator_id", String(64), nullable=False),
    Column("initiator_name", String(255), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("domain_id", String(64), nullable=False),
    Column("user_domain_id", String(64), nullable=False),
    Column("via", String(64), nullable=False),
    Column("credential_id", String(64), nullable=False),
    Column("delegation_ids", Json, nullable=True),
    Column("address", String(255), nullable=False),
    Column("target_type", String(128), nullable=False),
    Column("target_id", String(255), nullable=False),
    Column("observer_type", String(64), nullable=False),
    Column("observer_id", String(64), nullable=False),
    Column("path", String(255), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Index("audit_events_by_time", "at", "id"),
    Index("audit_events_of_project", "project_id", "at", "id"),
    Index("audit_events_of_initiator", "initiator_id", "at", "id"),
    Index("audit_events_of_target", "target_id", "at", "id"),
)

# Devices that make one-time codes. A code belongs to a step of 30 seconds; the last one that was taken, and
# all before it, are good no more. The secret is sealed.
totp = Table(
    "totp",
    TABLES,
    Id("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False, default=False),
    Column("last_step", BigInteger, nullable=False, default=0),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
)

# Documents for the programs that read them. Nothing here goes by them.
policies = Table(
    "policies",
    TABLES,
    Id("id", primary_key=True, default=ids.new),
    Column("type", String(255), nullable=False),
    Column("blob", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Column("revision", BigInteger, nullable=False, default=1),
    Index("policies_by_age", "created_at", "id"),
    info={"resource_type": "policy"},
)
