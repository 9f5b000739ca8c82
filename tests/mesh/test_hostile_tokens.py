"""Whatever is presented as a token: it never passes unless identity signed it so, and nothing breaks."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh import caller
from mesh.caller import Caller, Kind
from mesh.errors import CloudError
from mesh.tokens import Revocations, TokenVerifier
from tests.mesh.cloudlet import Signer

SIGNER = Signer()
REFUSALS = {"UNAUTHENTICATED", "TOKEN_EXPIRED"}
TOKEN = SIGNER.token(exp=4_000_000_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


class Ours:
    """Identity's one key."""

    async def key(self, kid: str) -> bytes | None:
        return SIGNER.public() if kid == SIGNER.kid else None


async def outcome(token: str) -> str:
    """The reason of the refusal, "" when it passes; any other failure fails the test."""
    try:
        found = await TokenVerifier(Ours(), Revocations()).verify(token)
    except CloudError as error:
        return error.reason
    assert found.kind is Kind.USER
    return ""


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


async def test_the_untouched_token_passes() -> None:
    assert await outcome(TOKEN) == ""


@given(part=st.integers(0, 2), bit=st.integers(0, 1 << 14))
async def test_a_token_with_one_bit_flipped_never_passes(part: int, bit: int) -> None:
    parts = TOKEN.split(".")
    raw = bytearray(decoded(parts[part]))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    parts[part] = encoded(bytes(raw))
    assert await outcome(".".join(parts)) in REFUSALS


@given(length=st.integers(0, len(TOKEN) - 1))
async def test_a_token_cut_anywhere_never_passes(length: int) -> None:
    assert await outcome(TOKEN[:length]) in REFUSALS
    assert await outcome(TOKEN[-length:] if length else "") in REFUSALS


@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_=-]{0,60}(\.[A-Za-z0-9_=-]{0,60}){2}"))
async def test_text_that_is_no_token_never_passes(text: str) -> None:
    assert await outcome(text) in REFUSALS


@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku"]), JSON))
async def test_no_header_makes_another_signature_pass(header: dict[str, Any]) -> None:
    body = TOKEN.split(".")[1]
    head = encoded(json.dumps({"kid": SIGNER.kid, **header}).encode())
    for signature in ("", encoded(bytes(64)), TOKEN.split(".")[2]):
        assert await outcome(f"{head}.{body}.{signature}") in REFUSALS


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    head = encoded(json.dumps({"alg": algorithm, "kid": SIGNER.kid}).encode())
    signed = f"{head}.{TOKEN.split('.')[1]}"
    digest = {"HS384": "sha384", "HS512": "sha512"}.get(algorithm, "sha256")
    for mac in (b"", hmac.digest(SIGNER.public(), signed.encode(), digest)):
        assert await outcome(f"{signed}.{encoded(mac)}") == "UNAUTHENTICATED"


@settings(max_examples=300)
@given(
    claims=st.dictionaries(st.sampled_from(["sub", "jti", "iat", "exp", "aud", "scp", "rol", "prj"]), JSON)
)
async def test_claims_of_any_shape_make_a_caller_or_a_refusal(claims: dict[str, Any]) -> None:
    body = json.dumps({**SIGNER.claims(), **claims}).encode()
    signed = f"{encoded(json.dumps({'alg': 'EdDSA', 'kid': SIGNER.kid}).encode())}.{encoded(body)}"
    assert await outcome(f"{signed}.{encoded(SIGNER.key.sign(signed.encode()))}") in {"", *REFUSALS}


@pytest.mark.parametrize("part", [0, 1])
async def test_json_nested_too_deep_is_refused(part: int) -> None:
    parts = TOKEN.split(".")
    parts[part] = encoded(b"[" * 5000)
    assert await outcome(".".join(parts)) == "UNAUTHENTICATED"


async def test_a_megabyte_is_refused_unread() -> None:
    assert await outcome("x" * 1_000_000) == "UNAUTHENTICATED"
    assert await outcome(TOKEN + "A" * 1_000_000) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "elsewhere"}, "UNAUTHENTICATED"),
        ({"nbf": 4e9}, "UNAUTHENTICATED"),
        ({"iat": 4e9}, "UNAUTHENTICATED"),
        ({"iat": 1, "exp": 2}, "TOKEN_EXPIRED"),
        ({"exp": -(10**30)}, "TOKEN_EXPIRED"),
        ({}, ""),
    ],
)
async def test_only_its_audience_and_its_time_let_a_signed_token_in(changes: Any, reason: str) -> None:
    assert await outcome(SIGNER.token(**changes)) == reason


async def test_a_key_id_of_no_key_of_ours_is_refused() -> None:
    for kid in ("", "k9", "../../k1", "k1\0", "k" * 1000):
        token = jwt.encode(SIGNER.claims(), SIGNER.key, "EdDSA", {"kid": kid})
        assert await outcome(token) == "UNAUTHENTICATED"


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_caller_are_refused_as_such(data: bytes) -> None:
    try:
        assert isinstance(caller.decode(data), Caller)
    except ValueError as error:
        assert "not an encoded caller" in str(error)  # noqa: PT017 - which of both it is, the bytes decide
