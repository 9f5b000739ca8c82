"""Tokens that were exchanged for others, in a process that only hears of revocations."""

import pytest

from mesh import clock, tokens
from mesh.errors import CloudError
from tests.mesh.cloudlet import Signer
from weft.identity.v1.resources_pb2 import Revocation


class OneKey:
    """The keys of a cloud with one."""

    def __init__(self, signer: Signer) -> None:
        self.public = signer.key.public_key().public_bytes_raw()

    async def key(self, kid: str) -> bytes | None:
        """The one key, whatever it is called."""
        return self.public


def revoked(token_id: str) -> Revocation:
    moment = clock.to_proto(clock.now())
    return Revocation(token_id=token_id, issued_before=moment, expires_at=moment)


async def test_a_revoked_token_takes_along_what_was_exchanged_for_it() -> None:
    signer, held = Signer(), tokens.Revocations()
    verifier = tokens.TokenVerifier(OneKey(signer), held)
    token, bystander = signer.token(ron=["first", "second"]), signer.token(ron=["third"])
    assert (await verifier.verify(token)).rests_on == ("first", "second")
    held.add(revoked("first"))
    with pytest.raises(CloudError) as caught:
        await verifier.verify(token)
    assert caught.value.reason == "TOKEN_REVOKED"
    assert (await verifier.verify(bystander)).rests_on == ("third",)


@pytest.mark.parametrize("end", [{"user_id": "owner"}, {"domain_id": "owner's"}, {"token_id": "trust"}])
async def test_a_delegated_token_ends_with_those_whose_rights_it_rests_on(end: dict[str, str]) -> None:
    signer, held = Signer(), tokens.Revocations()
    verifier = tokens.TokenVerifier(OneKey(signer), held)
    lent = signer.token(ron=["trust"], dlg="trust", vou=["owner", "owner's"], acl=["a/b"])
    other = signer.token(ron=["second"], dlg="second", vou=["another", "another's"])
    found = await verifier.verify(lent)
    assert (found.delegation_id, found.rules) == ("trust", frozenset({"a/b"}))
    moment = clock.to_proto(clock.now())
    held.add(Revocation(issued_before=moment, expires_at=moment, **end))
    with pytest.raises(CloudError) as caught:
        await verifier.verify(lent)
    assert caught.value.reason == "TOKEN_REVOKED"
    assert (await verifier.verify(other)).rules is None
