"""Which cloud, and who in it: the root options, the environment, and what `weft login` kept.

~/.config/weft/clouds.toml (0600) has a table for each cloud; WEFT_CLOUD names one, WEFT_ENDPOINT, WEFT_CA and
WEFT_TOKEN go before what it says. WEFT_PROJECT changes the project of a token that is good for several.
"""

import json
import os
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mesh.certificates import Shown
    from mesh.channel import Client

ENDPOINT = "127.0.0.1:7800"
STATE = Path("/var/lib/weft")


@dataclass(frozen=True)
class Cloud:
    """What is known of one cloud. `endpoint` is host:port, `ca` the path of its authority's certificate."""

    endpoint: str = ""
    ca: str = ""
    token: str = ""
    user: str = ""
    project: str = ""
    expires_at: str = ""


@dataclass
class Clouds:
    """The file of clouds."""

    current: str = "default"
    clouds: dict[str, Cloud] = field(default_factory=dict)

    @staticmethod
    def path() -> Path:
        """Where it is."""
        return Path(click.get_app_dir("weft", force_posix=False)) / "clouds.toml"

    @classmethod
    def read(cls) -> "Clouds":
        """What the file says; nothing where there is none."""
        try:
            said = tomllib.loads(cls.path().read_text())
            return cls(said.get("current", "default"), {k: Cloud(**v) for k, v in said["clouds"].items()})
        except FileNotFoundError:
            return cls()
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise click.UsageError(f"{cls.path()}: {error}; correct it, or remove it and log in") from error

    def write(self) -> None:
        """Keep it; only its owner may read it, for it holds tokens."""
        path = self.path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [f"current = {json.dumps(self.current)}"]
        for name, cloud in self.clouds.items():
            lines.append(f"\n[clouds.{json.dumps(name)}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(cloud).items() if value]
        scratch = path.with_suffix(".new")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write("\n".join(lines) + "\n")
        scratch.replace(path)


@dataclass(frozen=True)
class Session:
    """The root options of a command."""

    cloud: str = ""
    endpoint: str = ""
    ca: str = ""
    token: str = ""
    project: str = ""

    def resolved(self) -> Cloud:
        """What was said, over what was kept, over the defaults of a cloud on this machine."""
        kept = Clouds.read()
        name = self.cloud or kept.current
        if self.cloud and self.cloud not in kept.clouds and not (self.endpoint and self.ca):
            raise click.UsageError(f"there is no cloud {name}: `weft --cloud {name} login` makes it")
        found = kept.clouds.get(name, Cloud())
        endpoint = (self.endpoint or found.endpoint or ENDPOINT).removeprefix("https://").rstrip("/")
        ca = self.ca or found.ca or str(STATE / "pki" / "ca.crt")
        return replace(found, endpoint=endpoint, ca=ca, token=self.token or found.token)

    @asynccontextmanager
    async def client(
        self, *, anonymous: bool = False, shown: "Shown | None" = None
    ) -> "AsyncIterator[Client]":
        """A client of the gateway, with the token unless `anonymous`; `shown`: a certificate of one's own."""
        from mesh.channel import connect

        cloud = self.resolved()
        _must_exist(cloud.ca)
        token = None if anonymous else cloud.token or None
        async with connect(cloud.endpoint, Path(cloud.ca), token, leaf=shown) as client:
            if token and self.project and self.project != cloud.project:
                client.token = await _for_project(client, token, self.project)
            yield client


def _must_exist(ca: str) -> None:
    if not Path(ca).is_file():
        raise click.UsageError(
            f"{ca}: there is no such file. The cloud's CA certificate is needed to trust it: get it from "
            "whoever runs the cloud (pki/ca.crt of its state) and name it by --ca or WEFT_CA."
        )


async def _for_project(client: "Client", token: str, project: str) -> str:
    """A token of the same user for another project, by name or id."""
    from cli.scopes import scope
    from weft.identity.v1 import token_service_pb2 as pb
    from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

    credential = pb.TokenCredential(token=token)
    request = pb.CreateTokenRequest(token=credential, scope=scope(project=project))
    return (await client.stub(TokenServiceStub).CreateToken(request)).token
