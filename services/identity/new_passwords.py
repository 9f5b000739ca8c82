"""Setting a password: the rules looked at, the hash made, the old ones remembered."""

from typing import Any

from mesh import clock
from mesh.database import Database
from services.identity.password_rules import PasswordRules, repeated
from services.identity.passwords import Passwords
from services.identity.store import old_passwords, rows, scopes, users
from services.identity.tables import users as table


class NewPasswords:
    """Makes the values of a user's row for a new password, and puts them there."""

    def __init__(self, database: Database, passwords: Passwords, rules: PasswordRules) -> None:
        self._database, self._passwords, self._rules = database, passwords, rules

    async def for_another(self, password: str) -> dict[str, Any]:
        """The values when an administrator sets it. Raises INVALID_ARGUMENT."""
        self._rules.check(password)
        return self._rules.values(await self._passwords.hashed(password), clock.now(), own=False)

    async def for_oneself(self, user_id: str, password: str) -> dict[str, Any]:
        """The values when the user sets it. Raises INVALID_ARGUMENT, also for one of the last again."""
        self._rules.check(password)
        for stored in await self._database.read(old_passwords.of, user_id, self._rules.history):
            if await self._passwords.match(stored, password):
                raise repeated(self._rules.history)
        return self._rules.values(await self._passwords.hashed(password), clock.now(), own=True)

    def put(self, connection: Any, user_id: str, values: dict[str, Any]) -> None:
        """Give the user the password."""
        users.update(connection, user_id, 0, values)
        self.remember(connection, user_id, values["password_hash"])

    def replace(self, connection: Any, proven: Any, values: dict[str, Any]) -> None:
        """The same for a user without a token, whose password was proven and must not have changed since."""
        user = rows.hold(connection, table, proven.id, alone=True)
        if user is None or not user.enabled or user.password_hash != proven.password_hash:
            raise scopes.refused()
        self.put(connection, proven.id, values)

    def remember(self, connection: Any, user_id: str, stored: str) -> None:
        """Keep the hash among the user's last."""
        if stored:
            old_passwords.add(connection, user_id, stored, self._rules.history)
