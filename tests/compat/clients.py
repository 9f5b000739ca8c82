"""The unmodified `openstack` command, as somebody."""

import json
import os
import secrets
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.cloud.layout import Layout


@dataclass(frozen=True)
class Client:
    """The command, and the variables that it finds the cloud by."""

    commands: Path
    variables: dict[str, str]

    @classmethod
    def administrator(cls, commands: Path, layout: Layout) -> "Client":
        """The administrator in their own project, as `weft openrc` says it."""
        return cls(
            commands,
            {
                "OS_AUTH_URL": f"https://{layout.endpoint}/identity",
                "OS_CACERT": str(layout.ca),
                "OS_IDENTITY_API_VERSION": "3",
                "OS_USERNAME": "admin",
                "OS_PASSWORD": (layout.state / "identity" / "admin-password").read_text().strip(),
                "OS_PROJECT_NAME": "admin",
                "OS_USER_DOMAIN_NAME": "Default",
                "OS_PROJECT_DOMAIN_NAME": "Default",
            },
        )

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that speaks as this one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
        return kept | self.variables

    def run(self, *words: str) -> str:
        """What the command prints. Fails with what it said."""
        command = [str(self.commands / "openstack"), *words]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout

    def get(self, *words: str) -> Any:
        """The same as a document."""
        return json.loads(self.run(*words, "-f", "json"))


@dataclass(frozen=True)
class Person:
    """A member of a project of their own."""

    client: Client
    project_id: str


def person(administrator: Client, name: str) -> Person:
    """Somebody new with a project."""
    password = secrets.token_hex(16)
    project = administrator.get("project", "create", name)["id"]
    administrator.run("user", "create", "--password", password, name)
    administrator.run("role", "add", "--project", project, "--user", name, "member")
    said = {"OS_USERNAME": name, "OS_PASSWORD": password, "OS_PROJECT_NAME": name}
    return Person(replace(administrator, variables=administrator.variables | said), project)
