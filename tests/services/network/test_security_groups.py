"""Security groups and their rules."""

import asyncio

import pytest

from services.network.security_groups import RuleSpec, normalize
from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import resources_pb2 as pb

INGRESS, EGRESS = pb.DIRECTION_INGRESS, pb.DIRECTION_EGRESS


async def test_twenty_who_use_a_project_first_at_once_find_one_default_group(weft_on_both: Cloud):
    mine = weft_on_both.project()
    network, _ = await mine.network_with_subnet()
    calls = [
        mine.CreatePort(network_id=network.id) if i % 2 else mine.ListSecurityGroups() for i in range(20)
    ]
    await asyncio.gather(*calls)
    groups = (await mine.ListSecurityGroups()).security_groups
    assert [group.name for group in groups] == ["default"]
    rules = {(rule.direction, rule.ip_version, rule.remote_group_id) for rule in groups[0].rules}
    own = groups[0].id
    assert rules == {(EGRESS, 4, ""), (EGRESS, 6, ""), (INGRESS, 4, own), (INGRESS, 6, own)}
    assert groups[0].stateful


async def test_every_project_has_a_default_group_of_its_own_that_stays(mine: Api, theirs: Api):
    own = (await mine.ListSecurityGroups()).security_groups[0]
    other = (await theirs.ListSecurityGroups()).security_groups[0]
    assert own.id != other.id
    await refused(theirs.GetSecurityGroup(id=own.id), "NOT_FOUND")
    await refused(theirs.DeleteSecurityGroup(id=own.id), "NOT_FOUND")
    await refused(mine.DeleteSecurityGroup(id=own.id), "WRONG_STATUS")
    await refused(
        mine.UpdateSecurityGroup(id=own.id, security_group=pb.SecurityGroup(name="x")), "WRONG_STATUS"
    )
    await refused(mine.CreateSecurityGroup(name="default"), "ALREADY_EXISTS")
    again = await mine.UpdateSecurityGroup(id=own.id, security_group=pb.SecurityGroup(description="d"))
    assert again.description == "d"


async def test_a_group_begins_with_everything_out_and_takes_rules_once(mine: Api):
    group = await mine.CreateSecurityGroup(name="web")
    assert [(rule.direction, rule.ip_version) for rule in group.rules] == [(EGRESS, 4), (EGRESS, 6)]
    ssh = {
        "security_group_id": group.id,
        "direction": INGRESS,
        "protocol": "tcp",
        "port_min": 22,
        "port_max": 22,
    }
    rule = await mine.CreateSecurityGroupRule(**ssh)
    assert (rule.ip_version, rule.port_min, rule.port_max) == (4, 22, 22)
    await refused(mine.CreateSecurityGroupRule(**{**ssh, "protocol": "6"}), "ALREADY_EXISTS")
    assert (await mine.GetSecurityGroup(id=group.id)).revision == group.revision + 1
    listed = await mine.ListSecurityGroupRules(security_group_id=group.id, direction=INGRESS)
    assert [item.id for item in listed.security_group_rules] == [rule.id]
    await mine.DeleteSecurityGroupRule(id=rule.id)
    await refused(mine.GetSecurityGroupRule(id=rule.id), "NOT_FOUND")
    assert (await mine.CreateSecurityGroupRule(**ssh)).id != rule.id


@pytest.mark.parametrize(
    ("given", "is_kept_as"),
    [
        ({"protocol": "icmp", "ip_version": 6}, {"protocol": "icmpv6"}),
        ({"protocol": "017"}, {"protocol": "udp"}),
        ({"protocol": "icmp", "port_min": 8}, {"port_min": 8}),
        ({"protocol": "58"}, {"protocol": "icmpv6", "ip_version": 6}),
        ({"remote_cidr": "10.1.2.3/8"}, {"remote_cidr": "10.0.0.0/8", "ip_version": 4}),
        ({"remote_cidr": "fd00::1/64"}, {"remote_cidr": "fd00::/64", "ip_version": 6}),
        ({"protocol": "112"}, {"protocol": "112"}),
    ],
)
def test_a_rule_is_kept_in_one_form(given: dict, is_kept_as: dict):
    rule = normalize(RuleSpec("INGRESS", **given))
    assert {name: getattr(rule, name) for name in is_kept_as} == is_kept_as
    assert normalize(rule) == rule


async def test_unsound_rules_are_refused(mine: Api):
    group = await mine.CreateSecurityGroup(name="g")
    for fields in (
        {"protocol": "tcp", "port_min": 80},
        {"protocol": "tcp", "port_min": 90, "port_max": 80},
        {"protocol": "tcp", "port_min": 1, "port_max": 65536},
        {"port_min": 80, "port_max": 80},
        {"protocol": "icmp", "port_max": 0},
        {"protocol": "icmp", "port_min": 256},
        {"protocol": "icmpv6", "ip_version": 4},
        {"protocol": "256"},
        {"protocol": "carrier pigeon"},
        {"remote_cidr": "10.0.0.0/8", "ip_version": 6},
        {"remote_cidr": "10.0.0.0/33"},
        {"direction": pb.DIRECTION_UNSPECIFIED},
    ):
        asked = {"security_group_id": group.id, "direction": INGRESS, **fields}
        await refused(mine.CreateSecurityGroupRule(**asked), "INVALID_ARGUMENT")
    assert len((await mine.GetSecurityGroup(id=group.id)).rules) == 2


async def test_a_rule_names_groups_of_its_own_project_only(mine: Api, theirs: Api):
    group, peer = await mine.CreateSecurityGroup(name="a"), await mine.CreateSecurityGroup(name="b")
    foreign = await theirs.CreateSecurityGroup(name="c")
    asked = {"security_group_id": group.id, "direction": INGRESS}
    await refused(mine.CreateSecurityGroupRule(**asked, remote_group_id=foreign.id), "NOT_FOUND")
    await refused(theirs.CreateSecurityGroupRule(security_group_id=group.id, direction=INGRESS), "NOT_FOUND")
    both = mine.CreateSecurityGroupRule(**asked, remote_group_id=peer.id, remote_cidr="10.0.0.0/8")
    await refused(both, "INVALID_ARGUMENT")
    rule = await mine.CreateSecurityGroupRule(**asked, remote_group_id=peer.id)
    await refused(theirs.GetSecurityGroupRule(id=rule.id), "NOT_FOUND")
    await refused(theirs.DeleteSecurityGroupRule(id=rule.id), "NOT_FOUND")
    await mine.DeleteSecurityGroup(id=peer.id)
    assert rule.id not in {left.id for left in (await mine.GetSecurityGroup(id=group.id)).rules}


async def test_a_group_that_a_port_has_stays(mine: Api):
    network, _ = await mine.network_with_subnet()
    group = await mine.CreateSecurityGroup(name="web")
    port = await mine.CreatePort(network_id=network.id, security_group_ids=[group.id])
    error = await refused(mine.DeleteSecurityGroup(id=group.id), "IN_USE")
    assert error.metadata["used_by_id"] == port.id
    await mine.DeletePort(id=port.id)
    await mine.DeleteSecurityGroup(id=group.id)


async def test_groups_and_rules_count_against_limits(weft: Cloud, mine: Api):
    weft.house.limits.limits.update(security_groups=2, security_group_rules=7)
    group = await mine.CreateSecurityGroup(name="second")  # the first is `default`
    await refused(mine.CreateSecurityGroup(name="third"), "QUOTA_EXCEEDED")
    asked = {"security_group_id": group.id, "direction": INGRESS, "protocol": "tcp"}
    await mine.CreateSecurityGroupRule(**asked)
    await refused(mine.CreateSecurityGroupRule(**asked, remote_cidr="10.0.0.0/8"), "QUOTA_EXCEEDED")
