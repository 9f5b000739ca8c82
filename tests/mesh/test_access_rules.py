"""Tokens that are good for some RPCs only."""

import pytest

from mesh import access_rules
from mesh.caller import Caller, Kind
from mesh.errors import CloudError

GET = "weft.compute.v1.ServerService/GetServer"
DELETE = "weft.compute.v1.ServerService/DeleteServer"
ALL = "weft.compute.v1.ServerService/*"
OTHER = "weft.compute.v1.FlavorService/GetServer"


def may(rules: set[str] | None, rpc: str, kind: Kind = Kind.USER) -> bool:
    bound = None if rules is None else frozenset(rules)
    try:
        access_rules.check(Caller(kind, user_id="ann", rules=bound), access_rules.names(f"/{rpc}"))
    except CloudError as error:
        return (error.reason, error.metadata["permission"]) != ("PERMISSION_DENIED", rpc)
    return True


def test_a_rule_names_an_rpc_or_a_whole_service_and_nothing_else_is_let_in() -> None:
    assert may({GET}, GET)
    assert may({ALL}, GET)
    assert may(None, GET)
    assert not may({GET}, DELETE)
    assert not may({ALL}, OTHER)
    assert not may({"*", "weft.compute.v1.*/*", "/" + GET}, GET)


def test_a_token_whose_rules_leave_nothing_is_good_for_nothing() -> None:
    assert not may(set(), GET)


def test_a_service_that_acts_for_somebody_does_what_the_allowed_call_needs() -> None:
    assert may({GET}, DELETE, Kind.SERVICE)
    assert not may({GET}, DELETE)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (None, None, None),
        (None, {GET}, {GET}),
        ({GET, DELETE}, {GET, OTHER}, {GET}),
        ({ALL}, {GET, OTHER}, {GET}),
        ({ALL, OTHER}, {ALL}, {ALL}),
        ({GET}, {DELETE}, set()),
    ],
)
def test_what_two_sets_of_rules_allow_is_what_each_of_them_does(first, second, both) -> None:
    assert access_rules.both(first, second) == both
    assert access_rules.both(second, first) == both
