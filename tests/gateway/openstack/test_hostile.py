"""What nobody means well by: every answer is the caller's fault (4xx) or an honest 501, never a failure."""

import json
from typing import Any

import httpx
import pytest

from gateway.openstack.app import DIALECTS
from gateway.openstack.dialect import Dialect
from tests.gateway.conftest import Cloud

_DONE = (200, 201, 202, 204)
NOBODY = "0b7b1c6e-1d5f-4f0a-9e59-5f8f8f5f3a11"
NEWEST = {"openstack-api-version": "compute 2.96, volume 3.67, placement 1.38"}
# JSON texts, so that what Python cannot write is among them.
VALUES = (
    *("null", "true", "-1", "0", "9223372036854775808", "1e300", '""', '"\\u0000"', '"\\ud800"', '"%s"'),
    *("[]", "{}", "[[]]", "[null]", "[1]", '[""]', '{"":""}', '{"a":null}', '{"a":{"b":[]}}', '"../../x"'),
)
BODIES = (
    *(b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b'{"x": 1}', b"[" * 5000),
    *(b'{"a":' * 2000 + b"1" + b"}" * 2000, b'{"a": 1e999}'),
)
CREATE: dict[str, dict[str, Any]] = {
    "/compute/v2.1/servers": {
        "server": {
            **{"name": "n", "flavorRef": NOBODY, "imageRef": NOBODY, "networks": [{"uuid": NOBODY}]},
            **{"metadata": {"a": "b"}, "tags": ["t"], "user_data": "eA==", "key_name": "k", "min_count": 1},
            **{"security_groups": [{"name": "g"}], "availability_zone": "z", "config_drive": True},
            **{"block_device_mapping_v2": [{"uuid": NOBODY, "boot_index": 0}], "description": "d"},
        }
    },
    "/compute/v2.1/os-keypairs": {"keypair": {"name": "n", "public_key": "p", "type": "ssh"}},
    "/compute/v2.1/flavors": {"flavor": {"name": "n", "ram": 1, "vcpus": 1, "disk": 1, "swap": 0, "id": "x"}},
    "/volume/v3/volumes": {
        "volume": {"name": "n", "size": "x", "metadata": {}, "volume_type": NOBODY, "imageRef": NOBODY}
    },
    "/volume/v3/snapshots": {"snapshot": {"volume_id": NOBODY, "name": "n", "metadata": {}, "force": True}},
    "/network/v2.0/networks": {"network": {"name": "n", "mtu": 1, "admin_state_up": True, "shared": True}},
    "/network/v2.0/subnets": {
        "subnet": {
            **{"network_id": NOBODY, "cidr": "10.0.0.0/24", "ip_version": 4, "dns_nameservers": ["1.1.1.1"]},
            **{"allocation_pools": [{"start": "a", "end": "b"}], "host_routes": [{"destination": "d"}]},
        }
    },
    "/network/v2.0/ports": {
        "port": {
            **{"network_id": NOBODY, "fixed_ips": [{"ip_address": "x"}], "security_groups": [NOBODY]},
            **{"allowed_address_pairs": [{"ip_address": "x"}], "mac_address": "m", "device_id": "d"},
        }
    },
    "/network/v2.0/routers": {"router": {"name": "n", "external_gateway_info": {"network_id": NOBODY}}},
    "/network/v2.0/floatingips": {"floatingip": {"floating_network_id": NOBODY, "port_id": NOBODY}},
    "/network/v2.0/security-group-rules": {
        "security_group_rule": {
            **{"security_group_id": NOBODY, "direction": "ingress", "protocol": "tcp"},
            **{"port_range_min": 1, "remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv4"},
        }
    },
    "/identity/v3/auth/tokens": {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": {"name": "n", "password": "p"}}},
            "scope": {"project": {"id": NOBODY}},
        }
    },
    "/image/v2/images": {
        "name": 5,
        "disk_format": "raw",
        "tags": ["t"],
        "visibility": "private",
        "min_ram": 1,
    },
    "/placement/resource_providers": {"name": 5, "uuid": "u", "parent_provider_uuid": NOBODY},
}


def fault(answer: httpx.Response) -> None:
    """The answer is a refusal, and says nothing of what is inside."""
    assert 400 <= answer.status_code < 500 or answer.status_code == 501, (answer.request.url, answer.text)
    for word in ("Traceback", "sqlalchemy", 'File "'):
        assert word not in answer.text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_bodies_that_are_none_are_refused(one: httpx.Client, dialect: Dialect) -> None:
    for route in dialect.routes:
        if route.method in ("POST", "PUT", "PATCH") and not route.path.endswith("/file"):
            path = route.path.replace("{name}", "n").replace("{key}", "k").replace("{tag}", "t")
            for parameter in (
                "id",
                "project_id",
                "user_id",
                "role_id",
                "consumer_id",
                "volume_id",
                "image_id",
            ):
                path = path.replace(f"{{{parameter}}}", NOBODY)
            for body in BODIES:
                headers = {"content-type": "application/json", **NEWEST}
                answer = one.request(route.method, f"{dialect.mount}{path}", content=body, headers=headers)
                if answer.status_code not in _DONE:  # nothing may be the right thing to say
                    fault(answer)


@pytest.mark.parametrize("place", CREATE)
def test_fields_of_wrong_types_are_refused(one: httpx.Client, operator: httpx.Client, place: str) -> None:
    client = operator if "placement" in place or "flavors" in place else one
    for text in variants(CREATE[place]):
        headers = {"content-type": "application/json", **NEWEST}
        answer = client.post(place, content=text.encode("utf-8", "surrogatepass"), headers=headers)
        if answer.status_code not in _DONE:  # some of the values are right ones
            fault(answer)


def variants(document: Any) -> list[str]:
    """The document as JSON, each of its values replaced by each of the hostile ones."""
    found = []
    for path in paths(document):
        for value in VALUES:
            marked = json.dumps(put(document, path, "\x01"))
            found.append(marked.replace('"\\u0001"', value.replace("%s", "x" * 5000)))
    return found


def paths(document: Any) -> list[tuple[Any, ...]]:
    """The way to every value in a document, its own first."""
    found: list[tuple[Any, ...]] = [()]
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        found += [(key, *rest) for rest in paths(value)]
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at the end of a way."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_paths_and_queries_lead_nowhere_else(one: httpx.Client, cloud: Cloud, dialect: Dialect) -> None:
    tricks = (
        *("..%2f..%2fetc%2fpasswd", "%00", "a%0d%0ax-evil:%20yes", "%ff", "%u0041", "a;b", "a%20b", "'--"),
        *("%2e%2e", "x" * 2000, "*", "{id}", "%25%32%66", "\u202e"),
    )
    queries = (
        *("limit=-1", "limit=x", "limit=99999999999999", "marker=%00", "marker=x", "sort_key=%00", "sort=:"),
        *("sort_dir=up", "sort=a:b:c", "name=%00", "name=(((", "fields=%00", "a=%0d%0a", "=", "&&&", "%=%"),
        *("changes-since=x", "offset=x", "all_tenants=perhaps", "status=%f0%9f", "tags=,,,", "id='--"),
    )
    gets = [route.path for route in dialect.routes if route.method == "GET"]
    for path in gets:
        urls = (
            [f"{dialect.mount}{path.replace('{', '<').split('<')[0]}{trick}" for trick in tricks]
            if "{" in path
            else []
        )
        urls += [f"{dialect.mount}{path}?{query}" for query in queries if "{" not in path]
        for url in urls:
            answer = one.get(url, headers=NEWEST)
            assert "x-evil" not in answer.headers
            if answer.status_code >= 300:
                assert answer.status_code < 500 or answer.status_code == 501, (url, answer.text)


def test_what_is_put_in_a_path_ends_no_header(one: httpx.Client) -> None:
    """Names come back in Location: a line break in one starts no header of its own."""
    for place in ("/compute/v2.1/os-keypairs", f"/compute/v2.1/servers/{NOBODY}/tags"):
        answer = one.put(f"{place}/a%0d%0ax-evil:%20yes", headers=NEWEST)
        assert "x-evil" not in answer.headers
        fault(answer)
