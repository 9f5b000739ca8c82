"""The rules for passwords: how long, how old, which again, and when one must be changed. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mesh.errors import CloudError, invalid
from mesh.settings import Identity


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What the settings ask of passwords."""

    min_length: int
    history: int
    life: timedelta | None
    change_at_first_use: bool

    @classmethod
    def of(cls, settings: Identity) -> "PasswordRules":
        """As `[identity]` says."""
        life = timedelta(days=settings.password_days) if settings.password_days else None
        return cls(
            settings.password_min_length,
            settings.password_history,
            life,
            settings.password_change_at_first_use,
        )

    def check(self, password: str) -> None:
        """Raises INVALID_ARGUMENT for a password that is too short."""
        if len(password) < self.min_length:
            raise invalid("password", f"must have {self.min_length} characters or more")

    def values(self, stored: str, now: datetime, *, own: bool) -> dict[str, Any]:
        """What a user's row says of a new password; `own`: the user chose it, nobody else."""
        return {
            "password_hash": stored,
            "password_expires_at": now + self.life if self.life else None,
            "password_change_due": self.change_at_first_use and not own,
        }


def repeated(history: int) -> CloudError:
    """INVALID_ARGUMENT: one of the last passwords again."""
    return invalid("password", f"must be none of your last {history}")


def must_change(user: Any, now: datetime) -> CloudError | None:
    """PASSWORD_CHANGE_REQUIRED when the user's password, though right, may give no token."""
    if user.password_rules_exempt:
        return None
    if user.password_change_due:
        cause, why = "first_use", "somebody else has set it"
    elif user.password_expires_at is not None and user.password_expires_at <= now:
        cause, why = "expired", "it is too old"
    else:
        return None
    message = f"The password must be changed before it can be used: {why}."
    return CloudError("PASSWORD_CHANGE_REQUIRED", message, cause=cause)
