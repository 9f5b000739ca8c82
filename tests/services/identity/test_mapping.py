"""What claims mean, by the rules of an identity provider."""

from typing import Any

import pytest

from services.identity.mapping import mapped

CLAIMS = {
    "sub": "1",
    "email": "ann@north.example",
    "email_verified": True,
    "level": 3,
    "groups": ["ops", "dev"],
    "sites": ["a", "b"],
    "realm_access": {"roles": ["boss"]},
    "https://north.example/team": "red",
    "nothing": None,
    "nested": {"deep": {}},
}


def names(*groups: str, **rule: Any) -> set[str]:
    """The groups that a rule gives."""
    found = mapped([{"user_name": "x", "groups": list(groups), **rule}], CLAIMS)
    return set(found.groups) if found else set()


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("ops", {"ops"}),
        ("{groups}", {"ops", "dev"}),
        ("idp-{groups}", {"idp-ops", "idp-dev"}),
        ("{realm_access.roles}", {"boss"}),
        ("{https://north.example/team}", {"red"}),
        ("{level}/{email_verified}", {"3/true"}),
        ("{groups}@{sites}", {"ops@a", "ops@b", "dev@a", "dev@b"}),
        ("{missing}", set()),
        ("{nothing}", set()),
        ("{nested.deep}", set()),
        ("{realm_access}", set()),
        ("{email.domain}", set()),
    ],
)
def test_a_template_is_filled_with_every_value_of_its_claims(template: str, filled: set[str]) -> None:
    assert names(template) == filled


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"claim": "email"}, True),
        ({"claim": "missing"}, False),
        ({"claim": "email_verified", "any_of": ["true"]}, True),
        ({"claim": "level", "any_of": ["3"]}, True),
        ({"claim": "groups", "any_of": ["dev", "other"]}, True),
        ({"claim": "groups", "any_of": ["de"]}, False),
        ({"claim": "groups", "none_of": ["dev"]}, False),
        ({"claim": "groups", "any_of": ["ops"], "none_of": ["dev"]}, False),
        ({"claim": "missing", "none_of": ["dev"]}, True),
    ],
)
def test_a_rule_applies_when_its_conditions_hold(condition: dict[str, Any], holds: bool) -> None:
    assert (names("g", conditions=[condition]) == {"g"}) is holds
    assert names("g", conditions=[condition, {"claim": "missing"}]) == set()


def test_the_first_rule_that_names_somebody_does_and_all_that_apply_give_groups() -> None:
    rules = [
        {"groups": ["everybody"]},
        {"user_name": "{nickname}", "groups": ["nicknamed"]},
        {"user_name": "{email}", "email": "{email}", "groups": ["{groups}"]},
        {"user_name": "last", "conditions": [{"claim": "missing"}], "groups": ["nobody"]},
    ]
    found = mapped(rules, CLAIMS)
    assert found is not None
    assert (found.user_name, found.email) == ("ann@north.example", "ann@north.example")
    assert found.groups == {"everybody", "nicknamed", "ops", "dev"}


def test_nobody_is_named_by_a_list_or_by_text_that_is_no_name() -> None:
    assert mapped([{"user_name": "{groups}"}], CLAIMS) is None
    assert mapped([{"user_name": "{email}"}], {"email": "a\nb"}) is None
    assert mapped([{"user_name": "{email}"}], {"email": "a" * 256}) is None
    assert mapped([], CLAIMS) is None
    assert mapped([{"user_name": "{email}"}], {"email": "a"}) is not None
