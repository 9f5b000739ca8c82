"""What a rule says to nftables and what it answers about one flow are the same."""

from ipaddress import ip_address

import pytest

from node.wire import rules
from tests.node.wire.world import EGRESS, INGRESS, rule


def flow(remote: str, protocol: int = 6, port: int | None = 80, *, ingress: bool = True) -> rules.Flow:
    """A flow that begins."""
    return rules.Flow(ingress, ip_address(remote), protocol, port)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (rule(INGRESS), "meta nfproto ipv4 accept"),
        (rule(EGRESS, version="6"), "meta nfproto ipv6 accept"),
        (rule(INGRESS, "tcp", (22, 22), cidr="10.0.0.0/8"), "ip saddr 10.0.0.0/8 tcp dport 22-22 accept"),
        (rule(EGRESS, "udp", (53, 53), cidr="0.0.0.0/0"), "meta nfproto ipv4 udp dport 53-53 accept"),
        (rule(INGRESS, "icmp", (8, 0)), "meta nfproto ipv4 meta l4proto 1 icmp type 8 icmp code 0 accept"),
        (rule(INGRESS, "icmp", version="6"), "meta nfproto ipv6 meta l4proto 58 accept"),
        (rule(INGRESS, "47"), "meta nfproto ipv4 meta l4proto 47 accept"),
        (rule(INGRESS, "6", (1, 2)), "meta nfproto ipv4 tcp dport 1-2 accept"),
        (rule(INGRESS, group="aa-bb"), "ip saddr @m4_aabb accept"),
    ],
)
def test_a_rule_as_nftables_takes_it(given, text: str) -> None:
    assert rules.text(given) == text


@pytest.mark.parametrize(
    "given",
    [
        rule(INGRESS, "carrier-pigeon"),
        rule(INGRESS, "256"),
        rule(INGRESS, "tcp", (9, 3)),
        rule(INGRESS, "tcp", (1, 70000)),
        rule(INGRESS, "icmp", (256, 0)),
        rule(INGRESS, cidr="fd00::/8"),
        rule(INGRESS, cidr="nowhere; drop"),
        rule(INGRESS, version="5"),
    ],
)
def test_a_rule_that_cannot_be_enforced_is_refused_and_allows_nothing(given) -> None:
    with pytest.raises(rules.BadRule):
        rules.text(given)
    assert not rules.allows(given, flow("10.0.0.1"), ())


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        (rule(INGRESS), flow("10.0.0.1"), True),
        (rule(INGRESS), flow("10.0.0.1", ingress=False), False),
        (rule(INGRESS), flow("fd00::1"), False),
        (rule(INGRESS, "tcp", (80, 90)), flow("10.0.0.1"), True),
        (rule(INGRESS, "tcp", (81, 90)), flow("10.0.0.1"), False),
        (rule(INGRESS, "udp"), flow("10.0.0.1"), False),
        (rule(INGRESS, cidr="10.0.0.0/8"), flow("10.0.0.1"), True),
        (rule(INGRESS, cidr="10.0.0.0/8"), flow("11.0.0.1"), False),
        (rule(INGRESS, group="g"), flow("10.0.0.7"), True),
        (rule(INGRESS, group="g"), flow("10.0.0.8"), False),
        (rule(INGRESS, "icmp", (8, 0)), flow("10.0.0.1", 1, 8), True),
        (rule(INGRESS, "icmp", (8, 0)), flow("10.0.0.1", 1, 13), False),
    ],
)
def test_whether_a_rule_lets_a_flow_begin(given, asked: rules.Flow, expected: bool) -> None:
    assert rules.allows(given, asked, ["10.0.0.7"]) is expected
