"""One-time codes (TOTP, RFC 6238: six digits, 30 seconds, SHA-1) beside the password.

A code holds in its step and in the one before and after it, once. Wrong ones are slowed down like passwords,
but counted by themselves: a right password must not forgive them.
"""

import hmac
import secrets
from base64 import b32encode
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from mesh import clock
from mesh.database import Database
from services.identity.sealing import Seal
from services.identity.slowdown import Slowdown
from services.identity.store import scopes, totp

STEP = 30  # seconds
_SECRET_BYTES = 20


class SecondFactor:
    """Makes devices, and checks their codes."""

    def __init__(self, database: Database, seal: Seal, cloud: str, lockout: int) -> None:
        self._database, self._seal, self._cloud = database, seal, cloud
        self._slowdown = Slowdown(database, lockout)

    def new(self, user_id: str, user_name: str) -> tuple[str, str, str]:
        """A new secret: sealed, in base32, and as a URI."""
        secret = secrets.token_bytes(_SECRET_BYTES)
        uri = _totp(secret).get_provisioning_uri(user_name, self._cloud)
        return self._seal.close(secret, _owner(user_id)), b32encode(secret).decode(), uri

    async def prove(self, user_id: str, code: str, source: str, *, confirm: bool = False) -> None:
        """Use up a code of the user's device, which is confirmed already unless this is to `confirm` it.

        Raises UNAUTHENTICATED alike for a wrong code, one that was used, and where there is no device;
        TOO_MANY_ATTEMPTS.
        """
        async with self._slowdown.attempt(f"totp:{user_id}", source) as attempt:
            if not await self._database.write(self._take, user_id, code, confirm):
                await attempt.failed()
                raise scopes.refused()
            await attempt.passed()

    def _take(self, connection: Any, user_id: str, code: str, confirm: bool) -> bool:
        row = totp.of(connection, user_id)
        if row is None or not (row.confirmed or confirm):
            return False
        maker = _totp(self._seal.open(row.secret, _owner(user_id)))
        present = int(clock.now().timestamp()) // STEP
        matching = [step for step in range(present - 1, present + 2) if _match(maker, step, code)]
        return bool(matching) and totp.take(connection, user_id, matching[-1], confirm=confirm)


def _owner(user_id: str) -> str:
    return f"totp {user_id}"


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, 6, SHA1(), STEP)


def _match(maker: TOTP, step: int, code: str) -> bool:
    return hmac.compare_digest(maker.generate(step * STEP), code.encode())
