"""Identity v3: the route table."""

from gateway.openstack import faults, versions
from gateway.openstack.dialect import Dialect, Route, administered
from gateway.openstack.identity import (
    application_credentials,
    assignments,
    catalog,
    credentials,
    domains,
    ec2_credentials,
    groups,
    inferences,
    policies,
    projects,
    regions,
    roles,
    services,
    tokens,
    trusts,
    users,
)


def _grants(prefix: str) -> tuple[Route, ...]:
    """The routes of roles on one kind of target, also on all that is below it."""
    return (
        *_grants_to(prefix, "users/{user_id}"),
        *_grants_to(prefix, "groups/{group_id}"),
    )


def _grants_to(prefix: str, holder: str) -> tuple[Route, ...]:
    plain, below = (f"/v3/{place}{prefix}/{holder}/roles" for place in ("", "OS-INHERIT/"))
    routes = _granted(plain, f"{plain}/{{role_id}}")
    if prefix == "system":  # nothing is below it that could inherit
        return routes
    return routes + _granted(f"{below}/inherited_to_projects", f"{below}/{{role_id}}/inherited_to_projects")


def _granted(all: str, one: str) -> tuple[Route, ...]:
    return (
        Route("GET", all, assignments.listed),
        Route("PUT", one, assignments.grant, 204),
        Route("HEAD", one, assignments.check, 204),
        Route("GET", one, assignments.check, 204),
        Route("DELETE", one, assignments.revoke, 204),
    )


_CREDENTIALS = "/v3/users/{user_id}/application_credentials"
_EC2 = "/v3/users/{user_id}/credentials/OS-EC2"
_TRUSTS = "/v3/OS-TRUST/trusts"
_TAG = "/v3/projects/{id}/tags/{tag}"
_IMPLIED = "/v3/roles/{id}/implies/{implied_id}"
_MEMBER = "/v3/groups/{id}/users/{user_id}"

DIALECT = Dialect(
    name="identity",
    mount="/identity",
    shape=faults.identity,
    statuses=faults.IDENTITY,
    any_slash=True,
    routes=(
        versions.identity_root("/"),
        Route("GET", "/v3", catalog.version),
        Route("POST", "/v3/auth/tokens", tokens.create, 201),
        Route("GET", "/v3/auth/tokens", tokens.validate),
        Route("HEAD", "/v3/auth/tokens", tokens.check),
        Route("DELETE", "/v3/auth/tokens", tokens.revoke, 204),
        Route("GET", "/v3/auth/catalog", catalog.of_token),
        Route("GET", "/v3/auth/projects", projects.mine),
        Route("GET", "/v3/auth/domains", domains.mine),
        Route("GET", _CREDENTIALS, application_credentials.listed),
        Route("POST", _CREDENTIALS, application_credentials.create, 201),
        Route("GET", f"{_CREDENTIALS}/{{id}}", application_credentials.show),
        Route("DELETE", f"{_CREDENTIALS}/{{id}}", application_credentials.delete, 204),
        Route("GET", _EC2, ec2_credentials.listed),
        Route("POST", _EC2, ec2_credentials.create, 201),
        Route("GET", f"{_EC2}/{{access}}", ec2_credentials.show),
        Route("DELETE", f"{_EC2}/{{access}}", ec2_credentials.delete, 204),
        Route("GET", _TRUSTS, trusts.listed),
        Route("POST", _TRUSTS, trusts.create, 201),
        Route("GET", f"{_TRUSTS}/{{id}}", trusts.show),
        Route("DELETE", f"{_TRUSTS}/{{id}}", trusts.delete, 204),
        Route("GET", f"{_TRUSTS}/{{id}}/roles", trusts.roles_of),
        Route("GET", f"{_TRUSTS}/{{id}}/roles/{{role_id}}", trusts.role),
        Route("HEAD", f"{_TRUSTS}/{{id}}/roles/{{role_id}}", trusts.role),
        *administered(
            (
                Route("GET", "/v3/projects", projects.listed),
                Route("POST", "/v3/projects", projects.create, 201),
                Route("GET", "/v3/projects/{id}", projects.show),
                Route("PATCH", "/v3/projects/{id}", projects.update),
                Route("DELETE", "/v3/projects/{id}", projects.delete, 204),
                Route("GET", "/v3/projects/{id}/tags", projects.tags),
                Route("PUT", "/v3/projects/{id}/tags", projects.set_tags),
                Route("DELETE", "/v3/projects/{id}/tags", projects.clear_tags, 204),
                Route("PUT", _TAG, projects.add_tag, 201),
                Route("GET", _TAG, projects.check_tag, 204),
                Route("HEAD", _TAG, projects.check_tag, 204),
                Route("DELETE", _TAG, projects.remove_tag, 204),
                Route("GET", "/v3/users", users.listed),
                Route("POST", "/v3/users", users.create, 201),
                Route("GET", "/v3/users/{id}", users.show),
                Route("PATCH", "/v3/users/{id}", users.update),
                Route("DELETE", "/v3/users/{id}", users.delete, 204),
                Route("POST", "/v3/users/{id}/password", users.set_password, 204),
                Route("GET", "/v3/users/{id}/projects", users.projects_of),
                Route("GET", "/v3/users/{id}/groups", groups.of_user),
                Route("GET", "/v3/groups", groups.listed),
                Route("POST", "/v3/groups", groups.create, 201),
                Route("GET", "/v3/groups/{id}", groups.show),
                Route("PATCH", "/v3/groups/{id}", groups.update),
                Route("DELETE", "/v3/groups/{id}", groups.delete, 204),
                Route("GET", "/v3/groups/{id}/users", groups.members),
                Route("PUT", _MEMBER, groups.add, 204),
                Route("HEAD", _MEMBER, groups.check, 204),
                Route("GET", _MEMBER, groups.check, 204),
                Route("DELETE", _MEMBER, groups.remove, 204),
                Route("GET", "/v3/domains", domains.listed),
                Route("POST", "/v3/domains", domains.create, 201),
                Route("GET", "/v3/domains/{id}", domains.show),
                Route("PATCH", "/v3/domains/{id}", domains.update),
                Route("DELETE", "/v3/domains/{id}", domains.delete, 204),
                Route("GET", "/v3/roles", roles.listed),
                Route("POST", "/v3/roles", roles.create, 201),
                Route("GET", "/v3/roles/{id}", roles.show),
                Route("PATCH", "/v3/roles/{id}", roles.update),
                Route("DELETE", "/v3/roles/{id}", roles.delete, 204),
                Route("GET", "/v3/role_inferences", inferences.everywhere),
                Route("GET", "/v3/roles/{id}/implies", inferences.listed),
                Route("PUT", _IMPLIED, inferences.create, 201),
                Route("GET", _IMPLIED, inferences.show),
                Route("HEAD", _IMPLIED, inferences.check, 204),
                Route("DELETE", _IMPLIED, inferences.delete, 204),
                Route("GET", "/v3/credentials", credentials.listed),
                Route("POST", "/v3/credentials", credentials.create, 201),
                Route("GET", "/v3/credentials/{id}", credentials.show),
                Route("PATCH", "/v3/credentials/{id}", credentials.update),
                Route("DELETE", "/v3/credentials/{id}", credentials.delete, 204),
                Route("GET", "/v3/policies", policies.listed),
                Route("POST", "/v3/policies", policies.create, 201),
                Route("GET", "/v3/policies/{id}", policies.show),
                Route("PATCH", "/v3/policies/{id}", policies.update),
                Route("DELETE", "/v3/policies/{id}", policies.delete, 204),
                Route("GET", "/v3/role_assignments", assignments.everywhere),
                *_grants("projects/{project_id}"),
                *_grants("domains/{domain_id}"),
                *_grants("system"),
                Route("GET", "/v3/services", services.listed),
                Route("POST", "/v3/services", services.create, 201),
                Route("GET", "/v3/services/{id}", services.show),
                Route("PATCH", "/v3/services/{id}", services.update),
                Route("DELETE", "/v3/services/{id}", services.delete, 204),
                Route("GET", "/v3/regions", regions.listed),
                Route("POST", "/v3/regions", regions.create, 201),
                Route("GET", "/v3/regions/{name}", regions.show),
                Route("PUT", "/v3/regions/{name}", regions.create, 201),
                Route("PATCH", "/v3/regions/{name}", regions.update),
                Route("DELETE", "/v3/regions/{name}", regions.delete, 204),
                Route("GET", "/v3/endpoints", catalog.endpoints),
                Route("POST", "/v3/endpoints", catalog.create, 201),
                Route("GET", "/v3/endpoints/{id}", catalog.endpoint),
                Route("PATCH", "/v3/endpoints/{id}", catalog.update),
                Route("DELETE", "/v3/endpoints/{id}", catalog.delete, 204),
            )
        ),
    ),
)
