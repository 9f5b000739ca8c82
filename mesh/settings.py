"""Settings: one TOML file and the environment, refused with a clear sentence when wrong.

The file is $WEFT_CONFIG, else /etc/weft/weft.toml where it exists, else there is none and defaults hold.
Every key can be set by WEFT_<SECTION>__<KEY>, deeper ones by more `__` (WEFT_SERVICES__COMPUTE__ADDRESS).
`{state}` and `{service}` in values are expanded.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

DEFAULT_FILE = Path("/etc/weft/weft.toml")
_BULK_ABOVE = 10
_LONGEST_SOCKET = 107  # sun_path of unix(7), less its end
EXIT_STATUS = 78  # EX_CONFIG of sysexits.h
PORTS = {
    "identity": 7801,
    "image": 7802,
    "placement": 7803,
    "compute": 7804,
    "network": 7805,
    "block": 7806,
    "telemetry": 7807,
}
_T = TypeVar("_T")
_SECRET = ("password", "secret")
_URL_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


def _shown(name: str, value: Any) -> Any:
    """A setting as it may be printed: not a secret, nor a URL with one."""
    if value and name.endswith(_SECRET):
        return "***"
    return _URL_PASSWORD.sub(r"\1:***@", value) if isinstance(value, str) else value


class SettingsError(ValueError):
    """A setting is wrong; the message is one sentence that names it and where it was set."""


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; printed it shows no secret."""

    def __repr__(self) -> str:
        said = (f"{name}={_shown(name, getattr(self, name))!r}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(said)})"


class Cloud(Section, frozen=True):
    """What holds for the whole cloud. `state` is the directory of all that weft keeps on this machine;
    `policy` a file that overrides the contracts' access rules (mesh/policy.py), none if empty. With
    `audit_reads` the audit trail tells of what was looked at too. `processes` is into how many the services
    of `weft serve control` go: 1, or 2, which is what 0 stands for where there is more than one processor.
    """

    name: str = "weft"
    region: str = "RegionOne"
    state: str = "/var/lib/weft"
    policy: str = ""
    audit_reads: bool = False
    processes: Literal[0, 1, 2] = 0
    log: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"


class DatabaseSection(Section, frozen=True):
    """`url` of a database: with PostgreSQL each service keeps to a schema of its own name."""

    url: str = "sqlite:///{state}/{service}.db"


class ServiceSection(Section, frozen=True):
    """`address` is what clients dial (host:port or unix:/path), `listen` what the service listens on."""

    address: str = ""
    listen: list[str] = field(default_factory=list)


class Gateway(Section, frozen=True):
    """Where the edge listens, where the OpenStack dialects do, and where Envoy's own admin page is."""

    address: str = "127.0.0.1:7800"
    dialects: str = "127.0.0.1:7808"
    admin: str = "127.0.0.1:7809"


class Node(Section, frozen=True):
    """The host agent. Sizes are in MiB or bytes as named; `max_booting` guests start at one time. A host that
    has not joined the cloud yet does so with the token in `join_token_file`.
    """

    host_id: str = ""
    name: str = ""
    address: str = "127.0.0.1:7810"
    listen: list[str] = field(default_factory=list)
    state: str = "{state}/node"
    join_token_file: str = ""
    hypervisor: Literal["auto", "kvm", "tcg", "simulated"] = "auto"
    libvirt_uri: str = ""
    bridge_mappings: dict[str, str] = field(default_factory=lambda: {"external": "weft-ext"})
    vtep_address: str = ""
    vcpu_ratio: float = 4.0
    memory_reserved_mib: int = 512
    max_booting: int = 2
    pool_bytes: int = 0


class Tracing(Section, frozen=True):
    """`sample` is the share of traces kept, from 0 to 1; an empty endpoint sends to telemetry alone."""

    enabled: bool = True
    otlp_endpoint: str = ""
    sample: float = 1.0


class Identity(Section, frozen=True):
    """`token_seconds` is the life of a token; `admin_password` that of the first administrator, made if
    empty.

    The rules for passwords: at least `password_min_length` characters, none of the user's last
    `password_history`, changed every `password_days` (0: for ever) and, with `password_change_at_first_use`,
    also after somebody else has set it. After `lockout_failures` wrong guesses of one user's password only
    addresses that the user has logged in from before are heard (0: all are).

    The audit trail is kept for `audit_days`.

    With `project_admins_administer_cloud` who has the role admin on any project may exchange a token for that
    project for one of the system, as OpenStack's older tools expect: see docs/security.md.
    """

    token_seconds: int = 3600
    admin_password: str = ""
    password_min_length: int = 8
    password_history: int = 0
    password_days: int = 0
    password_change_at_first_use: bool = False
    lockout_failures: int = 100
    audit_days: int = 90
    project_admins_administer_cloud: bool = False


class Image(Section, frozen=True):
    """`store` is the directory of image contents. Contents are imported from public addresses, and from those
    in the networks of `import_from` (CIDR); at most `import_bytes` at once, whatever the quota.
    """

    store: str = "{state}/images"
    import_from: list[str] = field(default_factory=list)
    import_bytes: int = 1 << 40


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One service's own: the address that clients dial, what it listens on, where its database is."""

    name: str
    address: str
    listen: tuple[str, ...]
    database_url: str = dataclass_field(repr=False)


class Settings(Struct, frozen=True):
    """All settings of a process."""

    cloud: Cloud = Cloud()
    database: DatabaseSection = DatabaseSection()
    gateway: Gateway = Gateway()
    node: Node = Node()
    tracing: Tracing = Tracing()
    identity: Identity = Identity()
    image: Image = Image()
    services: dict[str, ServiceSection] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The directory of everything that weft keeps on this machine."""
        return Path(self.cloud.state)

    def address(self, service: str) -> str:
        """What clients of a service dial."""
        given = self.services.get(service, ServiceSection()).address
        return given or f"127.0.0.1:{PORTS[service]}"

    def bulk_address(self, service: str) -> str:
        """Where a service gives and takes contents: see mesh/bulk.py."""
        return ",".join(map(beside, self.address(service).split(",")))

    def for_service(self, name: str) -> ServiceSettings:
        """The settings of one service, with everything filled in."""
        given = self.services.get(name, ServiceSection())
        address = self.address(name)
        listen = tuple(given.listen) or self._default_listen(address, name)
        url = self.database.url.replace("{service}", name)
        if url.startswith("postgresql"):
            url += ("&" if "?" in url else "?") + "options=" + quote(f"-csearch_path={name}")
        return ServiceSettings(name, address, listen, url)

    def _default_listen(self, address: str, name: str) -> tuple[str, ...]:
        """The address, and a unix socket in the state directory where its path is not too long for one."""
        socket = f"{self.state}/run/{name}.sock"
        return (address, f"unix:{socket}") if len(socket) <= _LONGEST_SOCKET else (address,)

    def section(self, name: str, type_: type[_T]) -> _T:
        """A service's own table `[<name>]`, as the struct that the service declares for it."""
        return _expand(
            _convert(self.own.get(name, {}), type_, name, "the settings", lax=True), self.cloud.state
        )


def beside(address: str) -> str:
    """Where the contents of a service that is at `address` come and go: a socket of another ending, or ten
    ports above.
    """
    if address.startswith("unix:"):
        return address.removesuffix(".sock") + ".http"
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + _BULK_ABOVE}"


_SECTIONS: dict[str, type[Section]] = {
    "cloud": Cloud,
    "database": DatabaseSection,
    "gateway": Gateway,
    "node": Node,
    "tracing": Tracing,
    "identity": Identity,
    "image": Image,
}


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsError with one sentence on the first that is wrong."""
    path = path or _default_path(environ)
    tables = _read(path) if path else {}
    source = path.name if path else "the defaults"
    _build(tables, source, lax=False)
    overridden = _override(tables, environ)
    return _build(tables, "the environment", lax=True) if overridden else _build(tables, source, lax=False)


def _default_path(environ: Mapping[str, str]) -> Path | None:
    if environ.get("WEFT_CONFIG"):
        return Path(environ["WEFT_CONFIG"])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: is not TOML: {error}") from error


def _override(tables: dict[str, Any], environ: Mapping[str, str]) -> bool:
    """Lay WEFT_<SECTION>__<KEY> over the tables; lists and tables are given as JSON."""
    names = [name for name in environ if name.startswith("WEFT_") and "__" in name]
    for name in names:
        *parents, key = name.removeprefix("WEFT_").lower().split("__")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
        table[key] = _environment_value(name, environ[name])
    return bool(names)


def _environment_value(name: str, text: str) -> Any:
    if not text.startswith(("[", '{"')):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{name} in the environment: is not JSON: {error}") from error


def _build(tables: dict[str, Any], source: str, *, lax: bool) -> Settings:
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{name} in {source}: expected a table, got {type(table).__name__}")
        if name not in _SECTIONS and name not in PORTS and name != "services":
            raise SettingsError(f"{name} in {source}: there is no such section")
    for name in tables.get("services", {}):
        if name not in PORTS:
            raise SettingsError(f"services.{name} in {source}: there is no such service")
    sections = {
        name: _convert(tables.get(name, {}), type_, name, source, lax=lax)
        for name, type_ in _SECTIONS.items()
    }
    state = sections["cloud"].state
    services = {
        name: _expand(_convert(table, ServiceSection, f"services.{name}", source, lax=lax), state)
        for name, table in tables.get("services", {}).items()
    }
    own = {name: table for name, table in tables.items() if name in PORTS and name not in _SECTIONS}
    expanded = {name: _expand(section, state) for name, section in sections.items()}
    return Settings(services=services, own=own, **expanded)


def _convert(table: Any, type_: type[_T], prefix: str, source: str, *, lax: bool) -> _T:
    try:
        return msgspec.convert(table, type_, strict=not lax)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        path = prefix + where.rstrip("`")
        if "unknown field" in what:
            path, what = f"{path}.{what.split('`')[1]}", "there is no such setting"
        text = what.replace("`", "")
        raise SettingsError(f"{path} in {source}: {text[:1].lower()}{text[1:]}") from error


def _expand(section: _T, state: str) -> _T:
    """With `{state}` replaced in every text."""
    changed: dict[str, Any] = {}
    for name in section.__struct_fields__:  # type: ignore[attr-defined]
        value = getattr(section, name)
        if isinstance(value, str) and "{state}" in value:
            changed[name] = value.replace("{state}", state)
        elif isinstance(value, list):
            changed[name] = [v.replace("{state}", state) if isinstance(v, str) else v for v in value]
    return msgspec.structs.replace(section, **changed) if changed else section  # type: ignore[type-var]
