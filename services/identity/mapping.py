"""What the claims of an ID token mean here: a user's name and address, and groups. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

_FIELD = re.compile(r"[{]([^{}]+)[}]")
_LONGEST = 255
# A group for each value of a list: more than this is no list of groups.
_MOST_GROUPS = 200


@dataclass(frozen=True, slots=True)
class Mapped:
    """Who the claims say it is, and the names of the groups that they put the user into."""

    user_name: str
    email: str
    groups: frozenset[str]


def mapped(rules: Sequence[Mapping[str, Any]], claims: Mapping[str, Any]) -> Mapped | None:
    """What the rules (as the contract's MappingRule has them) make of the claims; None is nobody."""
    applying = [rule for rule in rules if all(_holds(each, claims) for each in rule.get("conditions", ()))]
    named = ((_one(rule.get("user_name", ""), claims), rule) for rule in applying)
    name, first = next(((name, rule) for name, rule in named if name), ("", None))
    if first is None:
        return None
    templates = [template for rule in applying for template in rule.get("groups", ())]
    groups = [group for template in templates for group in _filled(template, claims)]
    return Mapped(name, _one(first.get("email", ""), claims), frozenset(groups[:_MOST_GROUPS]))


def _holds(condition: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    values = set(_values(condition["claim"], claims))
    wanted, refused = condition.get("any_of", ()), condition.get("none_of", ())
    return bool(values & set(wanted) if wanted else values or refused) and not values & set(refused)


def _one(template: str, claims: Mapping[str, Any]) -> str:
    """The template filled, where that is one text."""
    found = _filled(template, claims)
    return found[0] if len(found) == 1 else ""


def _filled(template: str, claims: Mapping[str, Any]) -> list[str]:
    """The template with every combination of the values of its claims."""
    fields = list(dict.fromkeys(_FIELD.findall(template)))
    choices = product(*(_values(field, claims) for field in fields))
    texts = (_put(template, dict(zip(fields, chosen, strict=True))) for chosen in choices)
    return [text for text in texts if 0 < len(text) <= _LONGEST and text.isprintable()]


def _put(template: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda field: values[field[1]], template)


def _values(claim: str, claims: Mapping[str, Any]) -> list[str]:
    """The claim as texts: none where it is missing, several where it is a list."""
    found = _looked_up(claim, claims)
    several: Iterable[Any] = found if isinstance(found, list) else [found]
    return [_text(each) for each in several if isinstance(each, str | int | float)]


def _looked_up(claim: str, claims: Mapping[str, Any]) -> Any:
    """By its whole name (which may be a URL), else by the path that its dots make."""
    if claim in claims:
        return claims[claim]
    here: Any = claims
    for part in claim.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else json.dumps(value)
