"""Who and what the story is about: filled in as it goes on."""

from dataclasses import dataclass, field
from pathlib import Path

from cli.cloud.layout import Layout
from cli.demo.rest import Rest
from cli.demo.stage import Stage
from mesh.channel import Client


@dataclass
class Cast:
    """The cloud, its callers, and the ids of what they made. `people` is the project's member, by gRPC."""

    layout: Layout
    stage: Stage
    image_file: Path
    rest: Rest
    grpc: Client
    user: str = "dana"
    password: str = ""
    key_file: Path = Path()
    ids: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    boot_operation: str = ""
    first_address: str = ""
    floating_address: str = ""
