"""Fields of a request as options and arguments of a command.

A field `flavor_id` is `--flavor-id` and `--flavor`; a repeated field `networks` is `--network`, given more
than once; a message's own fields are `--gateway.network-id`, and the resource of an update needs no prefix.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from cli import nouns
from cli.contract import Contracts, Field, Verb

# Made by the command itself, or said by options of its own.
_OURS = {"page_size", "page_token", "update_mask", "request_id"}


@dataclass(frozen=True)
class Slot:
    """One parameter: `path` is where its value goes in the request, `name` click's own name of it."""

    path: tuple[str, ...]
    field: Field
    flags: tuple[str, ...]
    argument: bool = False

    @property
    def name(self) -> str:
        """Unique within the command."""
        return "__".join(self.path)


def slots(verb: Verb) -> list[Slot]:
    """Every parameter of a verb, arguments first."""
    contracts, fields = verb.contracts, [f for f in verb.fields if f.name not in _OURS]
    key = _key(verb, fields)
    found = [Slot((key.name,), key, (), argument=True)] if key else []
    resource = _updated(verb)
    taken = {f"--{nouns.dashed(f.name)}" for f in fields if f is not resource}
    taken |= {nouns.singular(flag) for flag in taken if flag.endswith("s")}
    for field in fields:
        if field is resource:
            found += _updates(contracts, verb, field)
        elif field is not key:
            found.append(_slot((field.name,), field, taken))
            found += _nested(contracts, field)
    return found


def _key(verb: Verb, fields: list[Field]) -> Field | None:
    """What a command is about, or its new thing's name: the argument."""
    by_name = {field.name: field for field in fields}
    creates, lists = verb.name == "create", verb.name == "list" or verb.gives_stream
    names = ("name",) if creates else () if lists else ("id", _own(verb), "name")
    return next((by_name[name] for name in names if name in by_name), None)


def _own(verb: Verb) -> str:
    return verb.resource.replace("-", "_") + "_id"


def _updated(verb: Verb) -> Field | None:
    """The resource that an update carries."""
    if "update_mask" not in {field.name for field in verb.fields}:
        return None
    return next(field for field in verb.fields if field.kind == "message")


def _updates(contracts: Contracts, verb: Verb, resource: Field) -> Iterator[Slot]:
    """Options for what may be changed: the contract's comment of the mask lists it."""
    mask = next(field for field in verb.fields if field.name == "update_mask")
    said = mask.help.partition("Which fields to change:")[2].partition(".")[0]
    allowed = {name.strip() for name in said.split(",")}
    fields = [field for field in contracts.fields(resource.message) if field.name in allowed]
    taken = {f"--{nouns.dashed(field.name)}" for field in fields}
    for field in fields:
        yield _slot((resource.name, field.name), field, taken)


def _nested(contracts: Contracts, field: Field) -> Iterator[Slot]:
    """A single message's own plain fields, each as an option of its own."""
    if field.kind != "message" or field.repeated:
        return
    for inner in contracts.fields(field.message):
        if inner.kind != "message" and "output only" not in inner.help:
            flag = f"--{nouns.dashed(field.name)}.{nouns.dashed(inner.name)}"
            yield Slot((field.name, inner.name), inner, (flag,))


def _slot(path: tuple[str, ...], field: Field, taken: set[str]) -> Slot:
    flag = f"--{nouns.dashed(field.name)}"
    flags = [flag]
    if field.repeated and flag.endswith("s"):
        flags.insert(0, nouns.singular(flag))
    elif field.name.endswith("_id") and flag.removesuffix("-id") not in taken:
        flags.insert(0, flag.removesuffix("-id"))
    return Slot(path, field, tuple(flags))


def parameter(slot: Slot, *, required: bool) -> click.Parameter:
    """The click parameter of a slot."""
    field, name = slot.field, slot.name
    if slot.argument:
        return click.Argument([name], required=required, metavar=field.name.upper())
    flags = [*slot.flags]
    switched = field.kind == "bool" and (field.optional or len(slot.path) > 1)
    if switched:
        flags = [f"{flag}/--no-{flag[2:]}" for flag in flags]
    more: dict[str, Any] = {}
    if field.kind == "bool":  # not given is neither yes nor no
        more = {"is_flag": True, "default": None} | ({} if switched else {"flag_value": True})
    return click.Option(
        [name, *flags],
        help=_help(field),
        required=required,
        multiple=field.repeated or field.kind == "map",
        type=_type(field),
        metavar=_metavar(field),
        **more,
    )


def _type(field: Field) -> click.ParamType | None:
    if field.kind == "enum":
        return click.Choice(field.choices, case_sensitive=False)
    kinds: dict[str, click.ParamType] = {"int": click.INT, "float": click.FLOAT, "bool": click.BOOL}
    return kinds.get(field.kind)


def _metavar(field: Field) -> str | None:
    if field.name.endswith(("_id", "_ids")):
        return "NAME|ID"
    return {
        "map": "KEY=VALUE",
        "message": "KEY=VALUE,...",
        "duration": "DURATION",
        "time": "TIME",
        "bytes": "TEXT|@FILE",
    }.get(field.kind)


def _help(field: Field) -> str:
    more = " (several times)" if field.repeated or field.kind == "map" else ""
    return field.help.replace(" (UUID)", "").replace(" (UUIDs)", "") + more
