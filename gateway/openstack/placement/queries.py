"""What Placement's queries say of resources, traits and aggregates."""

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal


def amounts(call: Call) -> dict[str, int]:
    """`resources=VCPU:1,MEMORY_MB:64`. Raises Refusal."""
    found: dict[str, int] = {}
    for part in filter(None, call.query.get("resources", "").split(",")):
        name, _, amount = part.partition(":")
        if not amount.isdecimal() or len(amount) > 9 or int(amount) < 1:
            raise Refusal(400, f"resources: {part!r} is not CLASS:amount.")
        found[name] = int(amount)
    return found


def traits(call: Call) -> tuple[list[str], list[str]]:
    """`required=A,!B`: those that must be there, and those that must not. Raises Refusal."""
    needed: list[str] = []
    forbidden: list[str] = []
    for given in call.queries("required"):
        if given.startswith("in:"):
            raise Refusal(501, "required: a trait of several is not asked for.")
        for name in filter(None, given.split(",")):
            (forbidden if name.startswith("!") else needed).append(name.removeprefix("!"))
    if set(needed) & set(forbidden):
        raise Refusal(400, "required: a trait cannot be both there and not there.")
    return list(dict.fromkeys(needed)), list(dict.fromkeys(forbidden))


def members(call: Call) -> tuple[list[str], list[str]]:
    """`member_of=in:A,B` and `member_of=!C`: aggregates to be in one of, and to be in none of."""
    within: list[str] = []
    outside: list[str] = []
    for given in call.queries("member_of"):
        names = list(filter(None, given.removeprefix("!").removeprefix("in:").split(",")))
        if given.startswith("!"):
            outside += names
        elif within:
            raise Refusal(501, "member_of: providers are found by one set of aggregates.")
        else:
            within = names
    return list(dict.fromkeys(within)), list(dict.fromkeys(outside))
