"""Security groups and their rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import Connection, Row, bindparam, delete, select

from mesh import ids
from mesh.caller import Caller
from mesh.database import compare_and_swap
from mesh.errors import CloudError, wrong_status
from mesh.prepared import Prepared
from services.network import model
from services.network.model import Rule, SecurityGroup
from services.network.security_groups import RuleSpec, initial
from services.network.store import events, quota, rows
from services.network.tables import port_security_groups, security_group_rules, security_groups

_EXISTS = Prepared(select(security_groups.c.id).where(security_groups.c.id == bindparam("id")))
_RULES = select(security_group_rules).order_by(security_group_rules.c.created_at, security_group_rules.c.id)
_RULES = Prepared(
    _RULES.where(security_group_rules.c.security_group_id.in_(bindparam("ids", expanding=True)))
)


def get(connection: Connection, id: str, reach: str | None, lock: rows.Lock = "") -> SecurityGroup:
    """One group with its rules. NOT_FOUND."""
    return load(connection, [rows.get(connection, security_groups, id, reach, lock)])[0]


def page(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[SecurityGroup], str]:
    """A page of the caller's groups."""
    query = select(security_groups).where(rows.within(security_groups, caller.reach))
    query = rows.filtered(query, security_groups, **wanted)
    found, token = rows.page(connection, query, security_groups, request, caller)
    return load(connection, found), token


def require_all(connection: Connection, group_ids: Iterable[str], project_id: str) -> None:
    """NOT_FOUND unless all are the project's; none of them is deleted before we commit."""
    for group_id in sorted(group_ids):
        rows.get(connection, security_groups, group_id, project_id, "share")


def has_default(connection: Connection, project_id: str) -> bool:
    """Whether the project has its `default` group yet."""
    id = model.default_group_id(project_id)
    return _EXISTS.one(connection, id=id) is not None


def ensure_default(connection: Connection, project_id: str) -> str:
    """The id of the project's `default` group, made on first use; of those who come at once one makes it."""
    id = model.default_group_id(project_id)
    values = {"id": id, "project_id": project_id, "name": model.DEFAULT_GROUP}
    if not has_default(connection, project_id) and rows.insert_unless_taken(
        connection, security_groups, {**values, "description": "What every port has that names no group."}
    ):
        _add_rules(connection, id, project_id, initial(group_id=id))
        events.tell(connection, "CREATED", get(connection, id, None))
    return id


def create(connection: Connection, values: Mapping[str, Any], limits: Mapping[str, int]) -> SecurityGroup:
    """A new group, which lets everything out. ALREADY_EXISTS for the name `default`, QUOTA_EXCEEDED."""
    project_id = values["project_id"]
    ensure_default(connection, project_id)
    refuse_default(values["name"])
    quota.check(connection, project_id, limits, "security_groups")
    id = ids.new()
    rows.insert_unless_taken(connection, security_groups, {**values, "id": id})
    _add_rules(connection, id, project_id, initial())
    group = get(connection, id, None)
    events.tell(connection, "CREATED", group)
    return group


def refuse_default(name: str) -> None:
    """Every project has one `default`, and no second."""
    if name == model.DEFAULT_GROUP:
        message = "Every project has a security group `default`: give this one another name."
        raise CloudError("ALREADY_EXISTS", message, resource_type="security_group", name=name)


def update(
    connection: Connection, group: SecurityGroup, expected_revision: int, values: Mapping[str, Any]
) -> SecurityGroup:
    """The group after the change. REVISION_MISMATCH; WRONG_STATUS for another name of `default`."""
    if values.get("name", group.name) != group.name:
        _refuse_if_default(group)
        refuse_default(values["name"])
    return _changed(connection, group.id, expected_revision, dict(values))


def delete_group(
    connection: Connection, group: SecurityGroup, expected_revision: int, reach: str | None
) -> None:
    """Rules of other groups that name it go with it. IN_USE while a port has it.

    A project's own people keep its `default`; who clears up after a project deletes that too, and it is made
    anew where the project has use for it.
    """
    if reach is not None:
        _refuse_if_default(group)
    compare_and_swap(connection, security_groups, group.id, expected_revision, {})
    has_it = port_security_groups.c.security_group_id == group.id
    user = connection.scalar(select(port_security_groups.c.port_id).where(has_it).limit(1))
    if user is not None:
        message = f"The port {user} has the security group {group.id}."
        raise CloudError(
            "IN_USE",
            message,
            resource_type="security_group",
            id=group.id,
            used_by_type="port",
            used_by_id=user,
        )
    column = security_group_rules.c.security_group_id
    named = select(column).where(security_group_rules.c.remote_group_id == group.id, column != group.id)
    others = connection.scalars(named.distinct()).all()
    connection.execute(delete(security_groups).where(security_groups.c.id == group.id))
    for other in others:
        _changed(connection, other)
    events.tell(connection, "DELETED", group)


def get_rule(connection: Connection, id: str, reach: str | None) -> Rule:
    """One rule. NOT_FOUND."""
    return _rule(rows.get(connection, security_group_rules, id, reach))


def page_rules(
    connection: Connection, request: Message, caller: Caller, wanted: Mapping[str, object]
) -> tuple[list[Rule], str]:
    """A page of the caller's rules."""
    query = select(security_group_rules).where(rows.within(security_group_rules, caller.reach))
    query = rows.filtered(query, security_group_rules, **wanted)
    found, token = rows.page(connection, query, security_group_rules, request, caller)
    return [_rule(row) for row in found], token


def add_rule(
    connection: Connection, group: SecurityGroup, spec: RuleSpec, description: str, limits: Mapping[str, int]
) -> Rule:
    """A new rule. ALREADY_EXISTS for the same rule twice; NOT_FOUND for a remote group of another project."""
    quota.check(connection, group.project_id, limits, "security_group_rules")
    if spec.remote_group_id:
        require_all(connection, [spec.remote_group_id], group.project_id)
    rule_id = _add_rules(connection, group.id, group.project_id, [spec], description)[0]
    _changed(connection, group.id)
    return get_rule(connection, rule_id, None)


def delete_rule(connection: Connection, rule: Rule, expected_revision: int) -> None:
    """REVISION_MISMATCH."""
    compare_and_swap(connection, security_group_rules, rule.id, expected_revision, {})
    connection.execute(delete(security_group_rules).where(security_group_rules.c.id == rule.id))
    _changed(connection, rule.security_group_id)


def load(connection: Connection, found: Sequence[Row[Any]]) -> list[SecurityGroup]:
    """Rows of `security_groups` with their rules."""
    rules: dict[str, list[Rule]] = {}
    for row in _RULES.all(connection, ids=[row.id for row in found]):
        rules.setdefault(row.security_group_id, []).append(_rule(row))
    return [SecurityGroup(**row._mapping, rules=tuple(rules.get(row.id, ()))) for row in found]


def _changed(
    connection: Connection, group_id: str, expected_revision: int = 0, values: dict[str, Any] | None = None
) -> SecurityGroup:
    row = compare_and_swap(connection, security_groups, group_id, expected_revision, values or {})
    group = load(connection, [row])[0]
    events.tell(connection, "UPDATED", group)
    return group


def _refuse_if_default(group: SecurityGroup) -> None:
    if group.id == model.default_group_id(group.project_id):
        raise wrong_status("security_group", group.id, "the project's default", ["another one"])


def _add_rules(
    connection: Connection, group_id: str, project_id: str, specs: Iterable[RuleSpec], description: str = ""
) -> list[str]:
    added = []
    for spec in specs:
        values: dict[str, Any] = {
            "id": ids.new(),
            "project_id": project_id,
            "description": description,
            "security_group_id": group_id,
            "direction": spec.direction,
            "ip_version": spec.ip_version,
            "protocol": spec.protocol,
            "port_min": spec.port_min,
            "port_max": spec.port_max,
            "remote_cidr": spec.remote_cidr,
            "remote_group_id": spec.remote_group_id,
            "signature": spec.signature,
        }
        if not rows.insert_unless_taken(connection, security_group_rules, values):
            message = f"The security group {group_id} has a rule that allows the same."
            raise CloudError(
                "ALREADY_EXISTS", message, resource_type="security_group_rule", name=spec.signature
            )
        added.append(values["id"])
    return added


def _rule(row: Row[Any]) -> Rule:
    return Rule(**{name: value for name, value in row._mapping.items() if name != "signature"})
