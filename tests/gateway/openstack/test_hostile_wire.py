"""Bodies as no client sends them: too large, of another type, torn. Each beside one that is right."""

import gzip
import socket
import ssl

import httpx
import pytest

from tests.gateway.conftest import Cloud

_LIMIT = 4 * 1024 * 1024
_JSON = {"content-type": "application/json"}
# A place of a dialect and one of the contracts' own REST, with a body that each takes.
_TAKEN = {
    "/network/v2.0/networks": b'{"network": {"name": "wire"}}',
    "/image/v1/images": b'{"disk_format": "DISK_FORMAT_RAW"}',
}
_DIALECTS = {
    **{"/compute/v2.1/servers": "server", "/network/v2.0/networks": "network"},
    **{"/volume/v3/volumes": "volume", "/image/v2/images": "name"},
    **{"/identity/v3/auth/tokens": "auth", "/placement/resource_providers": "name"},
}
_MADE = (200, 201)
BROKEN = {
    "a size that is no number": ("transfer-encoding: chunked", b"zz\r\n%b\r\n0\r\n\r\n"),
    "a size below nought": ("transfer-encoding: chunked", b"-5\r\n%b\r\n0\r\n\r\n"),
    "a size beyond 64 bits": ("transfer-encoding: chunked", b"ffffffffffffffffff\r\n%b\r\n0\r\n\r\n"),
    "a chunk longer than its size": ("transfer-encoding: chunked", b"3\r\n%b\r\n0\r\n\r\n"),
    "two lengths": ("content-length: 5\r\ncontent-length: 6", b"%b"),
    "a length below nought": ("content-length: -1", b"%b"),
    "a length and chunks": ("content-length: 5\r\ntransfer-encoding: chunked", b"5\r\n%b\r\n0\r\n\r\n"),
    "a header with a NUL": ("x-a: \0\r\ncontent-length: 5", b"%b"),
    "a header's name with a space": ("x a: b\r\ncontent-length: 5", b"%b"),
}


@pytest.fixture(scope="module")
def both(cloud: Cloud) -> dict[str, str]:
    """Headers by which the dialects and the contracts know the same user, who has a project of their own."""
    token = cloud.member_of_a_new_project("openstack-wire")
    return {"x-auth-token": token, "authorization": f"Bearer {token}"}


@pytest.mark.parametrize("place", _DIALECTS)
def test_a_body_over_the_limit_is_cut_in_every_dialect(one: httpx.Client, place: str) -> None:
    large = b'{"%b": "%b"}' % (_DIALECTS[place].encode(), b"x" * (5 * 1024 * 1024))
    answer = one.post(place, content=large, headers=_JSON)
    assert answer.status_code == 413, answer.text
    assert str(_LIMIT) in answer.text
    within = one.post(place, content=b'{"%b": 5}' % _DIALECTS[place].encode() + b" " * 5000, headers=_JSON)
    assert within.status_code == 400, within.text


def test_the_limit_is_of_the_body_and_not_of_its_values(one: httpx.Client, both: dict) -> None:
    place = "/network/v2.0/networks"
    for spaces, statuses in ((1024 * 1024, _MADE), (5 * 1024 * 1024, (413,))):
        answer = one.post(place, content=_TAKEN[place] + b" " * spaces, headers={**both, **_JSON})
        assert answer.status_code in statuses, answer.text


def test_a_value_without_end_is_refused_by_the_contracts(cloud: Cloud, both: dict) -> None:
    """The edge cuts it, or lets it pass to who says what is wrong with it: blanks are not even kept."""
    with cloud.client() as client:
        for length, statuses in ((100, _MADE), (5 * 1024 * 1024, (400, 413))):
            body = b'{"disk_format": "DISK_FORMAT_RAW", "name": "%b"}' % (b"x" * length)
            answer = client.post("/image/v1/images", content=body, headers={**both, **_JSON})
            assert answer.status_code in statuses, answer.text


@pytest.mark.parametrize("place", _TAKEN)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "x", "application/json"]
)
def test_a_body_is_read_as_json_whatever_it_is_called(
    cloud: Cloud, both: dict, place: str, kind: str
) -> None:
    with cloud.client() as client:
        headers = {**both, "content-type": kind}
        for body in (b"a=b", b"<network/>", b"--x\r\n\r\n--x--", "{}".encode("utf-16")):
            answer = client.post(place, content=body, headers=headers)
            assert answer.status_code == 400, (body, answer.text)
        assert client.post(place, content=_TAKEN[place], headers=headers).status_code in _MADE


@pytest.mark.parametrize("place", _DIALECTS)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "", "x" * 1000, "/", ";;"])
def test_no_dialect_takes_a_body_of_another_kind(one: httpx.Client, place: str, kind: str) -> None:
    for body in (b"a=b", b"<x/>", b"--x\r\n\r\n--x--", b"\x1f\x8b\x08", "{}".encode("utf-16"), b"{}"):
        answer = one.post(place, content=body, headers={"content-type": kind})
        assert answer.status_code in (400, 415), (body, answer.text)


@pytest.mark.parametrize("place", _DIALECTS)
def test_a_body_that_is_packed_is_not_unpacked(one: httpx.Client, place: str) -> None:
    """So nothing small becomes something large."""
    packed = gzip.compress(b'{"%b": 5}' % _DIALECTS[place].encode())
    for encoding in ("gzip", "deflate", "br", "nonsense"):
        answer = one.post(place, content=packed, headers={**_JSON, "content-encoding": encoding})
        assert answer.status_code in (400, 415), answer.text


def test_rest_that_is_called_grpc_is_no_call(cloud: Cloud, both: dict) -> None:
    with cloud.client() as client:
        body = _TAKEN["/image/v1/images"]
        for kind, statuses in (("application/grpc", (404,)), ("application/json", _MADE)):
            answer = client.post("/image/v1/images", content=body, headers={**both, "content-type": kind})
            assert answer.status_code in statuses, answer.text


def sent(cloud: Cloud, place: str, headers: dict[str, str], framing: str, body: bytes) -> bytes:
    """What the gateway answers to a POST that is framed just so."""
    lines = [f"POST {place} HTTP/1.1", f"host: {cloud.address}", "connection: close", framing]
    lines += [f"{name}: {value}" for name, value in {**headers, **_JSON}.items()]
    host, _, port = cloud.address.rpartition(":")
    trust = ssl.create_default_context(cafile=str(cloud.ca))
    with (
        socket.create_connection((host, int(port)), 60) as plain,
        trust.wrap_socket(plain, server_hostname=host) as wire,
    ):
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = b""
        while part := wire.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("place", _TAKEN)
def test_requests_whose_length_is_doubtful_are_refused(cloud: Cloud, both: dict, place: str) -> None:
    body = _TAKEN[place]
    for name, (framing, shape) in BROKEN.items():
        answer = sent(cloud, place, both, framing, shape.replace(b"%b", body))
        assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    whole = sent(cloud, place, both, "transfer-encoding: chunked", chunks)
    assert int(whole.split()[1]) in _MADE, whole


def test_an_encoding_that_is_none_is_not_supported(cloud: Cloud, both: dict) -> None:
    """RFC 9112 wants 501 here, and the problem says what it means."""
    answer = sent(cloud, "/image/v1/images", both, "transfer-encoding: nonsense", b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 501 "), answer
    assert b'"reason":"UNSUPPORTED"' in answer


def test_a_body_that_ends_before_its_end_makes_nothing_and_harms_nobody(cloud: Cloud, both: dict) -> None:
    host, _, port = cloud.address.rpartition(":")
    trust = ssl.create_default_context(cafile=str(cloud.ca))
    for place, body in _TAKEN.items():
        head = f"POST {place} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body) + 9}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in both.items())
        with (
            socket.create_connection((host, int(port)), 60) as plain,
            trust.wrap_socket(plain, server_hostname=host) as wire,
        ):
            wire.sendall(head.encode() + b"\r\n" + body.replace(b"wire", b"torn"))
        with cloud.client() as client:
            assert client.post(place, content=body, headers={**both, **_JSON}).status_code in _MADE
    with cloud.client() as client:
        found = client.get("/network/v2.0/networks", params={"name": "torn"}, headers=both)
        assert found.json() == {"networks": []}
