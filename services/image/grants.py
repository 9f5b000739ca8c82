"""Grants: which host may fetch which content, for a while, signed so that nothing need be kept of them."""

import hashlib
import hmac
from datetime import timedelta

import msgspec

from mesh import clock
from mesh.errors import CloudError

# A transfer that was cut may begin again within this time; who needs longer is given another grant.
LIFE = timedelta(hours=1)
_SIGNATURE_BYTES = 32


class Grants:
    """Made and checked by every replica that has the key."""

    def __init__(self, key: bytes) -> None:
        # Signs nothing else, whatever else the file's key is used for.
        self._key = hmac.digest(key, b"weft image grants", hashlib.sha256)

    def give(self, host_id: str, sha256: str) -> bytes:
        """The host may fetch this content from now on."""
        ends = int((clock.now() + LIFE).timestamp())
        body = msgspec.msgpack.encode((host_id, sha256, ends))
        return self._sign(body) + body

    def check(self, grant: bytes, host_id: str, sha256: str) -> None:
        """Raises PERMISSION_DENIED unless the grant is ours, not over, and for this host and content."""
        signature, body = grant[:_SIGNATURE_BYTES], grant[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise _refused(host_id)
        held_by, content, ends = msgspec.msgpack.decode(body)
        if (held_by, content) != (host_id, sha256) or ends < clock.now().timestamp():
            raise _refused(host_id)

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)


def _refused(host_id: str) -> CloudError:
    message = f"Nothing on host {host_id} needs this content: a host fetches what is placed on it."
    return CloudError("PERMISSION_DENIED", message, permission="image.transfers.fetch", scope="", role="")
