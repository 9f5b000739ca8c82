"""Receipts: signed words of identity to itself that a part of a login was right. They are no tokens."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from mesh import clock
from mesh.errors import CloudError
from services.identity.keys import KeyRing
from services.identity.store.scopes import refused

LIFE = timedelta(minutes=5)
# Tokens are for another audience: neither passes for the other.
_AUDIENCE = "weft-receipt"
_ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whose password was right, and when."""

    user_id: str
    at: datetime


class Receipts:
    """Gives and reads the receipts of one cloud."""

    def __init__(self, ring: KeyRing, cloud: str) -> None:
        self._ring, self._cloud = ring, cloud

    def required(self, user_id: str) -> CloudError:
        """SECOND_FACTOR_REQUIRED, with a receipt for a password that was right just now."""
        now = clock.now()
        end = (now + LIFE).replace(microsecond=0)
        said = {"iss": self._cloud, "aud": _AUDIENCE, "sub": user_id, "iat": now.timestamp()}
        key = self._ring.signing()
        receipt = jwt.encode(
            {**said, "exp": int(end.timestamp())},
            key.private,
            algorithm=_ALGORITHM,
            headers={"kid": key.kid},
        )
        message = "The password is right; a one-time code is needed too."
        return CloudError("SECOND_FACTOR_REQUIRED", message, receipt=receipt, expires_at=end.isoformat())

    def read(self, receipt: str) -> Receipt:
        """What a receipt says that holds. Raises UNAUTHENTICATED."""
        try:
            key = self._ring.get(str(jwt.get_unverified_header(receipt).get("kid")))
            if key is None:
                raise refused()
            said = jwt.decode(
                receipt,
                key.public,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=self._cloud,
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise refused() from error
        if said["exp"] <= clock.now().timestamp():
            raise refused()
        return Receipt(said["sub"], datetime.fromtimestamp(said["iat"], UTC))
