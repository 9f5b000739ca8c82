"""A guest that knows nothing learns its address, its way out, its name and its user data."""

import json

import pytest

from node.wire import names
from tests.node.wire.lab import Lab, eventually
from weft.network.v1.resources_pb2 import HostRoute

pytestmark = pytest.mark.system
A, B = "10.1.0.11", "10.1.0.12"


def test_a_real_client_gets_a_lease_with_everything_in_it(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    net.subnets[0].host_routes.append(HostRoute(destination="10.50.0.0/16", next_hop="10.1.0.99"))
    a = lab.world.port(net, h1, A)
    lab.tell_guests({a.id: {"name": "anna"}})
    lab.tell(a)
    guest = lab.guest(a, dhcp=True)
    told = guest.dhcp()
    expected = {
        "ip": A,
        "mask": "24",
        "router": "10.1.0.1",
        "dns": "9.9.9.9",
        "mtu": "1450",
        "hostname": "anna",
        "serverid": "10.1.0.2",
        "lease": "86400",
    }
    assert {key: told.get(key) for key in expected} == expected
    routes = guest.run("ip", "route").stdout
    assert "default via 10.1.0.1" in routes
    assert "10.50.0.0/16 via 10.1.0.99" in routes
    assert "169.254.169.254 via 10.1.0.2" in routes


def test_a_client_that_wants_another_address_gets_its_own(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a = lab.world.port(net, h1, A)
    lab.tell(a)
    assert lab.guest(a, dhcp=True).dhcp(request="10.1.0.200")["ip"] == A


def test_nobody_answers_where_the_subnet_has_no_dhcp(lab: Lab) -> None:
    h1, _ = lab.hosts
    with_dhcp, without = lab.world.network("10.1.0.0/24"), lab.world.network("10.2.0.0/24", dhcp=False)
    a, b = lab.world.port(with_dhcp, h1, A), lab.world.port(without, h1, "10.2.0.11")
    lab.tell(a, b)
    assert lab.guest(a, dhcp=True).dhcp()["ip"] == A
    assert lab.guest(b, dhcp=True).dhcp() == {}


def test_metadata_answers_each_guest_about_itself_with_and_without_a_router(lab: Lab) -> None:
    h1, _ = lab.hosts
    plain, routed = lab.world.network("10.1.0.0/24"), lab.world.network("10.1.0.0/24", gateway="10.1.0.1")
    lab.world.router(routed)
    ports = {name: lab.world.port(net, h1, A) for name, net in (("anna", plain), ("berta", routed))}
    lab.tell_guests(
        {port.id: {"name": name, "user_data": f"#!/bin/sh\n# {name}\n"} for name, port in ports.items()}
    )
    lab.tell(*ports.values())
    for name, port in ports.items():
        guest = lab.guest(port, dhcp=True)
        guest.dhcp()
        status, body = guest.get("http://169.254.169.254/openstack/latest/meta_data.json")
        assert status == 200
        assert json.loads(body)["name"] == name
        assert guest.get("http://169.254.169.254/latest/meta-data/local-hostname") == (200, name)
        assert guest.get("http://169.254.169.254/latest/user-data/")[1].startswith("#!/bin/sh")
        assert guest.get("http://169.254.169.254/latest/meta-data/no-such-thing")[0] == 404
        assert (
            guest.run("curl", "-s", "-X", "PUT", "http://169.254.169.254/latest/api/token").stdout[:3]
            == "404"
        )


def test_metadata_tells_a_floating_ip_as_soon_as_its_host_knows_of_it(lab: Lab) -> None:
    h1, _ = lab.hosts
    a = lab.world.port(lab.world.network("10.1.0.0/24"), h1, A)
    lab.tell_guests({a.id: {"name": "anna"}})
    lab.tell(a)
    guest = lab.guest(a, dhcp=True)
    guest.dhcp()
    url = "http://169.254.169.254/latest/meta-data/public-ipv4"
    assert guest.get(url) == (200, "")
    a.floating_ips.append("203.0.113.7")
    lab.tell(a)
    assert eventually(lambda: guest.get(url) == (200, "203.0.113.7"))
    del a.floating_ips[:]
    lab.tell(a)
    assert eventually(lambda: guest.get(url) == (200, ""))


def test_a_guest_is_told_to_ask_again_while_nobody_takes_its_password(lab: Lab) -> None:
    h1, _ = lab.hosts
    a = lab.world.port(lab.world.network("10.1.0.0/24"), h1, A)
    lab.tell_guests({a.id: {"name": "anna"}})
    lab.tell(a)
    guest = lab.guest(a, dhcp=True)
    guest.dhcp()
    for said in ((), ("-d", "secret")):
        url = "http://169.254.169.254/openstack/latest/password"
        found = guest.run("curl", "-s", "-m", "30", "-w", "%{http_code}", *said, url).stdout
        assert found.endswith("503")
    assert guest.get("http://169.254.169.254/latest/meta-data/hostname") == (200, "anna")


def test_metadata_is_the_own_hosts_on_every_host(lab: Lab) -> None:
    h1, h2 = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a, b = lab.world.port(net, h1, A), lab.world.port(net, h2, B)
    lab.tell_guests({a.id: {"name": "anna"}, b.id: {"name": "berta"}})
    lab.tell(a, b)
    for port, name in ((a, "anna"), (b, "berta")):
        guest = lab.guest(port, dhcp=True)
        guest.dhcp()
        assert guest.get("http://169.254.169.254/latest/meta-data/hostname") == (200, name)


def test_who_takes_anothers_address_does_not_learn_its_secrets(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    victim, thief = lab.world.port(net, h1, A), lab.world.port(net, h1, B, secured=False)
    lab.tell_guests({victim.id: {"name": "anna", "user_data": "secret"}, thief.id: {"name": "trudy"}})
    lab.tell(victim, thief)
    honest, guest = lab.guest(victim, dhcp=True), lab.guest(thief, dhcp=True)
    honest.dhcp()
    guest.dhcp()
    assert honest.get("http://169.254.169.254/latest/user-data") == (200, "secret")
    assert guest.get("http://169.254.169.254/latest/meta-data/hostname") == (200, "trudy")
    guest.run("ip", "addr", "flush", "dev", "eth0")
    guest.take(f"{A}/24").run("ip", "route", "add", "169.254.169.254", "via", "10.1.0.2")
    assert guest.get("http://169.254.169.254/latest/user-data")[0] == 0


def test_metadata_comes_back_when_its_namespace_was_lost(lab: Lab) -> None:
    h1, _ = lab.hosts
    net = lab.world.network("10.1.0.0/24")
    a = lab.world.port(net, h1, A)
    lab.tell_guests({a.id: {"name": "anna"}})
    lab.tell(a)
    guest = lab.guest(a, dhcp=True)
    guest.dhcp()
    url = "http://169.254.169.254/latest/meta-data/hostname"
    assert guest.get(url) == (200, "anna")
    lab.on(h1, "ip", "link", "del", names.metadata_link(net.id))
    assert eventually(lambda: guest.get(url) == (200, "anna"))
