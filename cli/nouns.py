"""How the contracts' names become words of the command line, and the other way round."""

import re
from collections.abc import Collection

# Verbs of the contract that people know by another word.
_SAID = {"Get": "show"}
# What a service is about, where that is not its name.
_CONSISTS_OF = {"Audit": "Events"}
_STANDARD = ("Get", "List", "Create", "Update", "Delete")


def command(service: str, rpc: str, rpcs: set[str]) -> tuple[str, str]:
    """Resource and verb of an RPC: (`ServerService`, `AttachVolume`) is (`server`, `attach-volume`).

    A service that has the standard verbs of a second noun (rules, beside security groups) has that as a
    resource of its own; `rpcs` are all its RPCs.
    """
    noun = service.removesuffix("Service")
    verb, rest = re.fullmatch(r"([A-Z][a-z]+)(.*)", rpc).groups()  # type: ignore[union-attr]
    said, other = _SAID.get(verb, verb.lower()), singular(rest)
    if verb in _STANDARD and other != noun and f"Create{other}" in rpcs:
        return dashed(other), said
    for part in (plural(noun), noun, _CONSISTS_OF.get(noun, noun)):
        if part in rest:
            rest = rest.replace(part, "", 1)
            break
    return dashed(noun), "-".join(filter(None, (said, dashed(rest))))


def referred(stem: str, resources: Collection[str], own: str = "") -> str:
    """The resource that a field `<stem>_id` names, empty for none.

    Of `own`'s family first: the `remote_group` of a `security-group-rule` is a `security-group`, though there
    are groups of users too.
    """
    words = dashed(stem)
    if words in resources:
        return words
    ends = [r for r in resources if words.endswith("-" + r)]
    begun = [r for r in resources if r.endswith("-" + words.rpartition("-")[2])]
    if kin := [r for r in (*ends, *begun) if own.startswith(r)]:
        return max(kin, key=len)
    return max(ends, key=len) if ends else begun[0] if len(begun) == 1 else ""


def plural(noun: str) -> str:
    """`Policy` is `Policies`, `RouterAddress` is `RouterAddresses`."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def singular(noun: str) -> str:
    """The other way round."""
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if noun.endswith(("sses", "tuses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def dashed(name: str) -> str:
    """`SecurityGroupRule` and `security_group_rule` are `security-group-rule`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").lower()


def enum_prefix(enum: str) -> str:
    """What every value of an enum begins with: `SERVER_STATUS_` of `ServerStatus`."""
    return dashed(enum).replace("-", "_").upper() + "_"
