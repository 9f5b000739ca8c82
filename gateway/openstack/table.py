"""What is spoken, as the route tables say it, for docs/openstack.md."""

from gateway.openstack.app import DIALECTS
from gateway.openstack.dialect import Dialect, text

_HEAD = """# Spoken to in OpenStack

OpenStack's clients are answered on the gateway's one port, by translation into the contracts: each call is
made with the caller's own token and is one trace with the calls that it causes. What is not listed here is
answered by a fault in the service's own shape: 404 or 405 where there is no such call, 501 where a call is
there and what it asks for is not. Ids are UUIDs; what is no UUID is found by no id. Who administers the cloud
may do so with a token of a project, as OpenStack's clients expect: where a contract wants the scope of the
system, the token is exchanged for one of that scope, which its user must have a role on.

Made from the route tables and the last run of the judges by `python -m tests.compat.page`.
"""

_TAIL = """## What is taken and what comes of it
- `adminPass` of a new server is taken and not heeded, and no answer has one: use a key pair or user data.
  `OS-DCF:diskConfig` likewise; what it would do is the guest's affair.
- The `device` of an attachment is the guest's choice, not the caller's.
- Names are filtered by text with `.*` in it and `^` and `$` at its ends, not by every regular expression.
- Candidates of Placement are providers that take one group of requirements each; several groups, and sharing
  or nested providers, are asked for by the contract's ListCandidates. A provider's generation grows with its
  name and parent too. A resource class keeps its name; who owns what is allocated is named by a UUID.
- What is made in Neutron is the project's that the token is for, unless `project_id` names another: that is
  for administrators of the cloud.
- Several servers made at once (`max_count`) are as many as the quota lets be, and none where those are fewer
  than `min_count`.
- Cinder's `os-attach` attaches as compute does, to the server that it names.
- The only way of import is `web-download`: what is staged by `glance-direct` would be an upload, and there is
  one store. A task does not tell the address that it fetches from, which may be good for whoever knows it.
- The availability zone without a name is called `nova`.
"""


def routes() -> str:
    """The document up to what the judges say."""
    return "\n".join([_HEAD, *(_section(dialect) for dialect in DIALECTS), _TAIL])


def _section(dialect: Dialect) -> str:
    known = dialect.microversions
    span = f" Microversions {text(known.lowest)} to {text(known.highest)}." if known else ""
    calls: dict[str, list[str]] = {}
    for route in dialect.routes:
        calls.setdefault(route.path, []).append(route.method)
    rows = [f"| `{path}` | {', '.join(methods)} |" for path, methods in calls.items()]
    head = f"## {dialect.name.capitalize()}\nBelow `{dialect.mount}`.{span}\n"
    return "\n".join([head, "| path | methods |", "|---|---|", *rows, ""])
