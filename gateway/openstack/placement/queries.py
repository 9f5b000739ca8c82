"""What Placement's queries say of resources, traits and aggregates."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.openstack.call import Call
from gateway.openstack.faults import Refusal
from gateway.openstack.placement.reading import canonical, is_uuid

_BAD = "Invalid query string parameters"


@dataclass(frozen=True, slots=True)
class Marks:
    """What must be there, any of each set, and what must not."""

    any_of: tuple[frozenset[str], ...] = ()
    none_of: frozenset[str] = frozenset()

    def hold(self, there: frozenset[str]) -> bool:
        """Whether it is so of something that has these."""
        return all(each & there for each in self.any_of) and not self.none_of & there

    @property
    def names(self) -> frozenset[str]:
        """All that is named."""
        return self.none_of.union(*self.any_of)


def amounts(given: str) -> dict[str, int]:
    """`VCPU:1,MEMORY_MB:64`. Raises Refusal."""
    form = "Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024"
    badly = f"Badly formed resources parameter. {form}."
    if not given:
        raise Refusal(400, f"{badly} Got: empty string.", "query.missing_value")
    found: dict[str, int] = {}
    for part in given.split(","):
        name, colon, amount = part.partition(":")
        if not colon or not name:
            raise Refusal(400, f"{badly} Got: {part}.", "query.bad_value")
        if not amount.removeprefix("-").isdecimal() or len(amount) > 10:
            words = f"Requested resource {name} expected positive integer amount. Got: {amount}."
            raise Refusal(400, words, "query.bad_value")
        if int(amount) < 1:
            words = f"Requested resource {name} requires amount >= 1. Got: {amount}."
            raise Refusal(400, words, "query.bad_value")
        found[name] = int(amount)
    return found


def traits(call: Call, name: str = "required") -> Marks:
    """`required=A,!B` and `required=in:C,D`. Raises Refusal."""
    given = call.queries(name)
    if len(given) > 1 and call.microversion < (1, 39):
        given = given[-1:]
    any_of: list[frozenset[str]] = []
    none_of: set[str] = set()
    for value in given:
        if value.startswith("in:") and call.microversion >= (1, 39):
            any_of.append(frozenset(_words(call, value, value.removeprefix("in:"))))
            continue
        for word in _words(call, value, value):
            if not word.startswith("!"):
                any_of.append(frozenset([word]))
            elif call.microversion >= (1, 22):
                none_of.add(word[1:])
            else:
                raise _malformed(call, value)
    return Marks(tuple(any_of), frozenset(none_of))


def _words(call: Call, value: str, listed: str) -> list[str]:
    words = listed.split(",")
    if not all(word.removeprefix("!") and (":" not in word) for word in words):
        raise _malformed(call, value)
    return words


def _malformed(call: Call, value: str) -> Refusal:
    form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if call.microversion >= (1, 22) else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    words = f"{_BAD}: Expected 'required' parameter value of the form: {form}. Got: {value}"
    return Refusal(400, words, "query.bad_value")


def members(call: Call, name: str = "member_of") -> Marks:
    """`member_of=in:A,B` and `member_of=!C`: aggregates to be in one of each, and to be in none of."""
    given = call.queries(name)
    if len(given) > 1 and call.microversion < (1, 24):
        raise Refusal(400, "Multiple member_of parameters are not supported.", "query.duplicate_key")
    any_of: list[frozenset[str]] = []
    none_of: set[str] = set()
    for value in given:
        listed = value.removeprefix("!")
        if listed != value and call.microversion < (1, 32):
            words = "Forbidden member_of parameters are not supported in the specified microversion."
            raise Refusal(400, words, "query.bad_value")
        ids = listed.removeprefix("in:").split(",") if listed.startswith("in:") else [listed]
        if not all(map(is_uuid, ids)):
            words = f"{_BAD}: Expected '{name}' parameter to contain valid UUID(s). Got: {value}"
            raise Refusal(400, words, "query.bad_value")
        named = frozenset(map(canonical, ids))
        if listed != value:
            none_of |= named
        else:
            any_of.append(named)
    return Marks(tuple(any_of), frozenset(none_of))


def known(wanted: Mapping[str, object] | frozenset[str], names: set[str], words: str) -> None:
    """Raises Refusal for names that there are not."""
    if missing := sorted(set(wanted) - names):
        raise Refusal(400, f"{words}: {', '.join(missing)}.")
