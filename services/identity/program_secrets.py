"""Secrets that programs log in with: random, told once, and kept as a hash.

They have 256 random bits, which nobody can guess at: a fast hash keeps them as safe as a slow one would, and
guesses need not be slowed down. Passwords, which people choose, are another matter.
"""

import hashlib
import hmac
import secrets


def new() -> str:
    """A new secret, of 43 characters."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def match(stored: str, secret: str) -> bool:
    """Whether the secret is the one that was hashed; never for an empty `stored`, after the same work."""
    return hmac.compare_digest(stored or "-", hashed(secret))
