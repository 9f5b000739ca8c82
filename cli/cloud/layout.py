"""Where everything of a one-machine cloud is: kept in its state directory, so that each command agrees."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh.settings import PORTS, Settings, load

DEFAULT_STATE = Path("/var/lib/weft")
DEFAULT_PORT = 7800
# Networks that exist in the cloud's own namespaces alone. 203.0.113.0/24 is for documentation (RFC 5737).
UNDERLAY = "192.168.127"
OUTSIDE = "203.0.113"
# A host keeps libvirt's sockets below, whose paths the kernel limits to 107 characters.
_LONGEST_STATE = 70


@dataclass(frozen=True)
class Layout:
    """`hosts` agents, a gateway on 127.0.0.1:`port` (its pages 8 above, Envoy's admin 9 above).

    `more` are settings besides, each `section.key=value`.
    """

    state: Path
    hosts: int = 1
    hypervisor: str = "auto"
    port: int = DEFAULT_PORT
    more: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: Path) -> "Layout | None":
        """The layout of the cloud in a directory; None where there is none."""
        try:
            said = json.loads((state / "cloud.json").read_text())
        except FileNotFoundError:
            return None
        return cls(**{**said, "state": state, "more": tuple(said.get("more", ()))})

    def write(self) -> None:
        """Keep it, and the settings that all processes read."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o711)
        for name in ("run", "log"):
            (self.state / name).mkdir(exist_ok=True, mode=0o700)
        said = {key: value for key, value in asdict(self).items() if key != "state"}
        (self.state / "cloud.json").write_text(json.dumps(said) + "\n")
        self.config.write_text(self._toml())

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.state / "weft.toml"

    @property
    def settings(self) -> Settings:
        """What the processes make of it."""
        return load(self.config, self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What every process reads besides the file."""
        said = (each.partition("=")[::2] for each in self.more)
        return {f"WEFT_{key.upper().replace('.', '__')}": value for key, value in said}

    @property
    def endpoint(self) -> str:
        """The gateway's address."""
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> tuple[int, ...]:
        """Every TCP port of this machine that is listened on."""
        return (self.port, self.port + 8, self.port + 9)

    @property
    def ca(self) -> Path:
        """The CA certificate."""
        return self.state / "pki" / "ca.crt"

    @property
    def admin_password(self) -> Path:
        """The first administrator's password."""
        return self.state / "identity" / "admin-password"

    @property
    def names(self) -> list[str]:
        """The hosts' names."""
        return [f"h{number}" for number in range(1, self.hosts + 1)]

    def space(self, name: str) -> str:
        """The namespace of a host, of `underlay` or of `outside`; clouds of other directories have others."""
        if self.state == DEFAULT_STATE:
            return f"weft-{name}"
        return f"weft-{hashlib.sha256(str(self.state).encode()).hexdigest()[:6]}-{name}"

    @property
    def spaces(self) -> list[str]:
        """All namespaces that `weft up` makes."""
        return [self.space(name) for name in ("underlay", "outside", *self.names)]

    def socket(self, name: str) -> str:
        """The unix socket of a service or host, as an address."""
        return f"unix:{self.state}/run/{name}.sock"

    def fits(self) -> bool:
        """Whether the paths of sockets are short enough for the kernel."""
        return len(str(self.state)) <= _LONGEST_STATE

    def node_environment(self, name: str) -> dict[str, str]:
        """What a host's agent reads besides the file."""
        return {
            "WEFT_NODE__NAME": name,
            "WEFT_NODE__STATE": str(self.state / name),
            "WEFT_NODE__ADDRESS": self.socket(name),
            "WEFT_NODE__VTEP_ADDRESS": f"{UNDERLAY}.{10 + self.names.index(name)}",
        }

    def _toml(self) -> str:
        lines = ["[cloud]", f"state = {json.dumps(str(self.state))}", 'log_format = "text"', "", "[gateway]"]
        lines += [
            f'{key} = "127.0.0.1:{port}"'
            for key, port in zip(("address", "dialects", "admin"), self.ports, strict=True)
        ]
        lines += ["", "[node]", f"hypervisor = {json.dumps(self.hypervisor)}"]
        for service in PORTS:
            address = json.dumps(self.socket(service))
            lines += ["", f"[services.{service}]", f"address = {address}", f"listen = [{address}]"]
        return "\n".join(lines) + "\n"
