"""Signature version 4, held to the client library of AWS."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from services.identity import signatures
from services.identity.signatures import Malformed, Request

KEY, SECRET = "0123456789abcdef0123456789abcdef", "the secret of a test"
HOST = "https://objects.example.org:8080"
REQUESTS = [
    ("GET", "/", b"", {}),
    ("GET", "/bucket?list-type=2&prefix=a%2Fb%20c&delimiter=%2F&empty=&flag", b"", {}),
    ("PUT", "/bucket/some%20thing/%C3%BC~-_.%2B%3D%26", b"content", {"Content-Type": "text/plain"}),
    ("GET", "/a//b/./c/../d/", b"", {"x-amz-meta-a": "  many   spaces  "}),
    ("POST", "/?Action=DescribeInstances&b=2&a=1&a=0", b"x=1&y=2", {"X-Amz-Target": "Some.Thing"}),
    ("DELETE", "/bucket/key?versionId=a%2Bb%2F%3D%3D", b"", {}),
]
HEADER = [(auth.SigV4Auth, "ec2"), (auth.S3SigV4Auth, "s3")]
QUERY = [(auth.SigV4QueryAuth, "ec2"), (auth.S3SigV4QueryAuth, "s3")]


def signed_by_aws(signer, service: str, method: str, target: str, body: bytes, headers: dict) -> Request:
    """The request as AWS's library signs and sends it."""
    request = AWSRequest(method, HOST + target, headers=headers, data=body)
    if service == "s3":
        request.context["payload_signing_enabled"] = True
    signer(Credentials(KEY, SECRET), service, "RegionOne").add_auth(request)
    sent = urlsplit(request.prepare().url)
    found = {name.lower(): [value] for name, value in request.headers.items()}
    found.setdefault("host", [sent.netloc])
    payload = signer(Credentials(KEY, SECRET), service, "RegionOne").payload(request)
    return Request(method, sent.path, sent.query, found, payload)


@pytest.mark.parametrize(("signer", "service"), HEADER + QUERY)
@pytest.mark.parametrize(("method", "target", "body", "headers"), REQUESTS)
def test_what_awss_library_signs_is_found_right(signer, service, method, target, body, headers) -> None:
    if (signer, service) in QUERY:
        body = b""  # the library takes the body of what it presigns for parameters
    request = signed_by_aws(signer, service, method, target, body, headers)
    found = signatures.read(request)
    assert (found.access_key, found.service) == (KEY, service)
    assert found.made_with(SECRET)
    assert not found.made_with(SECRET + "x")
    assert found.fresh(datetime.now(UTC))


def changed(request: Request) -> list[Request]:
    """The request, changed on the way in every respect that is signed."""
    later = {**request.headers, "x-amz-date": ["20200101T000000Z"]}
    return [
        replace(request, method="PUT"),
        replace(request, path=request.path + "x"),
        replace(request, query=f"{request.query}&more=1"),
        replace(request, headers={**request.headers, "host": ["elsewhere.example.org"]}),
        replace(request, headers=later),
        replace(request, headers={**request.headers, "x-amz-acl": ["public-read"]}),
        replace(request, payload_hash="0" * 64),
    ]


@pytest.mark.parametrize(("signer", "service"), HEADER)
def test_what_was_changed_on_the_way_is_not(signer, service) -> None:
    request = signed_by_aws(signer, service, "GET", "/bucket?a=1", b"", {})
    assert signatures.read(request).made_with(SECRET)
    for each in changed(request):
        try:
            right = signatures.read(each).made_with(SECRET)
        except Malformed:
            right = False
        assert not right, each


def test_it_holds_for_a_quarter_of_an_hour_and_a_url_for_as_long_as_it_says() -> None:
    now = datetime.now(UTC)
    found = signatures.read(signed_by_aws(auth.S3SigV4Auth, "s3", "GET", "/", b"", {}))
    for minutes, holds in ((-16, False), (-14, True), (14, True), (16, False)):
        assert found.fresh(now + timedelta(minutes=minutes)) is holds
    url = signatures.read(signed_by_aws(auth.S3SigV4QueryAuth, "s3", "GET", "/", b"", {}))
    for minutes, holds in ((-16, False), (59, True), (61, False)):
        assert url.fresh(now + timedelta(minutes=minutes)) is holds


def test_signatures_of_version_2_and_broken_ones_are_told_from_wrong_ones() -> None:
    good = signed_by_aws(auth.S3SigV4Auth, "s3", "GET", "/", b"", {})
    said = good.headers["authorization"][0]
    presigned = signed_by_aws(auth.S3SigV4QueryAuth, "s3", "GET", "/", b"", {})

    def with_header(value: str) -> Request:
        return replace(good, headers={**good.headers, "authorization": [value]})

    for request in (
        with_header("AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="),
        with_header(""),
        with_header(said.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")),
        with_header(said.replace("/aws4_request", "")),
        with_header(said.replace("host;", "")),
        with_header(said.replace("SignedHeaders=", "Signed=")),
        with_header(said.replace("SignedHeaders=host", "SignedHeaders=absent;host")),
        replace(good, headers={**good.headers, "authorization": [said, said]}),
        replace(good, query=presigned.query),
        replace(good, headers={**good.headers, "x-amz-date": ["yesterday"]}),
        replace(good, headers={name: value for name, value in good.headers.items() if name != "x-amz-date"}),
        replace(presigned, query=presigned.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=604801")),
        replace(
            presigned, query=presigned.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=9" + "9" * 400)
        ),
        replace(presigned, query=presigned.query.replace("X-Amz-Date", "X-Date")),
        replace(good, headers={"host": ["a"]}, query="AWSAccessKeyId=A&Signature=b&SignatureVersion=2"),
    ):
        with pytest.raises(Malformed):
            signatures.read(request)
