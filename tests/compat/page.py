"""docs/openstack.md from the route tables and the judges' last runs: `python -m tests.compat.page`."""

from pathlib import Path

from gateway.openstack.table import routes
from tests.compat import results

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openstack.md"
_JUDGES = """## Judges
`make compat` installs programs that others wrote, each in an environment of its own below `.cache/compat`, in
the versions of `tests/compat/judges/`, and lets them judge:

- the `openstack` command and openstacksdk, unmodified, each do the whole job of the demo, on a simulated host
  and with real guests, which are logged in to by SSH through a floating IP;
- cloud-init's own code, from Debian's package, reads the metadata service in OpenStack's form and in EC2's,
  and a config drive: host name, keys, user data, vendor data and a network configuration for Debian;
- a whole Debian, made of its packages with its own cloud-init, is booted with each of both and logged in to:
  it has the name, keys, user data, address, MTU, way out and name server that it was told of;
- schemathesis, not of OpenStack, makes hostile requests to each operation of the contracts' own REST, by the
  OpenAPI document: for some minutes as a member of a project, as the system's administrator, to what
  ends sessions and deletes, and to streams. Good are 2xx, 4xx, 501 where weft says that it has not what is
  asked for, and 504 where the time that the caller gave is over; an operation that ever answers anything
  else, or nothing, has failed, and one that was not reached in that time was skipped;
- Tempest, openstacksdk's own functional tests and those of Placement, of which the table tells the last run.
  What fails is in `tests/compat/known/`, each with its reason; the lists may only shrink.
"""


def page() -> str:
    """The whole document."""
    return "\n".join([routes(), _JUDGES, *results.table(), ""])


if __name__ == "__main__":
    PAGE.write_text(page())
