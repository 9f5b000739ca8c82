"""How often hosts are heard of and looked at in clouds of different sizes."""

from datetime import timedelta

import pytest

from services.compute import pace
from services.compute.pace import Rounds


@pytest.mark.parametrize(("hosts", "seconds"), [(0, 5), (1, 5), (500, 5), (501, 6), (10_000, 100)])
def test_hosts_of_a_large_cloud_are_heard_of_less_often(hosts: int, seconds: int) -> None:
    assert pace.heartbeat(hosts) == seconds
    assert hosts / pace.heartbeat(hosts) <= pace.HEARD_A_SECOND


def test_a_host_is_down_when_three_heartbeats_are_missing_and_not_before_thirty_seconds() -> None:
    assert pace.silence(1) == pace.silence(1000) == timedelta(seconds=30)
    assert pace.silence(10_000) == timedelta(seconds=300)


def test_few_are_looked_at_in_every_round() -> None:
    rounds = Rounds(3)
    assert rounds.take({"c", "a"}) == ["a", "c"]
    assert rounds.take({"c", "a", "b"}) == ["a", "b", "c"]


def test_of_many_each_has_its_turn_though_others_come_and_go() -> None:
    rounds = Rounds(2)
    assert rounds.take("abcde") == ["a", "b"]
    assert rounds.take("acde") == ["c", "d"]
    assert rounds.take("abcde") == ["e"]
    assert rounds.take("abcde") == ["a", "b"]
