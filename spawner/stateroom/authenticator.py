"""The hub's side of the accounts: log in with a name and a password from the accounts file.

The file is the only word on who may log in and who is an admin: it is looked at
again at most ten seconds after a user's last look, and before every start. A
session of a removed account ends then, and its tokens are worth nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Unicode, default

from stateroom.accounts import LONGEST_NAME, Account, AccountStore, normal_name
from stateroom.errors import SetupError

_REFRESH_SECONDS = 10

# A check takes 64 MiB and a tenth of a second of one core.
_CHECKS_AT_ONCE = 2
_MOST_WAITING = 40


class AccountsAuthenticator(Authenticator):
    """Log in with an account of Stateroom's own."""

    accounts_file = Unicode("accounts.json", config=True, help="The file that `stateroom user` keeps.")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._store = AccountStore(Path(self.accounts_file))
        self._throttle = Throttle()
        self._checks = ThreadPoolExecutor(_CHECKS_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0

    @default("allow_all")
    def _allow_all(self) -> bool:
        return True

    @default("auth_refresh_age")
    def _refresh_age(self) -> int:
        return _REFRESH_SECONDS

    @default("auth_refresh_strict")  # JupyterHub 6.1; earlier ones are strict
    def _refresh_strict(self) -> bool:
        return True

    @default("refresh_pre_spawn")
    def _refresh_before_start(self) -> bool:
        return True

    def normalize_username(self, username: str) -> str:
        """As the accounts file spells it."""
        return normal_name(username)

    async def authenticate(self, handler: Any, data: Mapping[str, str]) -> dict[str, Any] | None:  # noqa: ARG002
        """Name and admin status if the password is right, else None."""
        name, password = normal_name(data.get("username", "")), data.get("password", "")
        if not 0 < len(name) <= LONGEST_NAME:
            return None
        if self._waiting >= _MOST_WAITING:
            raise web.HTTPError(503, "Too many people log in at this moment. Try again in a minute.")
        if (seconds := self._throttle.wait(name)) > 0:
            raise web.HTTPError(429, f"Too many failed logins as this user. Try again in {math.ceil(seconds)} seconds.")
        # Counted before the check: guesses sent at the same time count one by one.
        self._throttle.failed(name)
        account = await self._verified(name, password)
        if account is None:
            return None
        self._throttle.forget(name)
        return _model(account)

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:  # noqa: ARG002
        """Whether the account is still there, with its admin status if that changed."""
        try:
            account = self._store.accounts().get(user.name)
        except SetupError as error:
            # A file that cannot be read says nothing about anybody's account.
            self.log.error("%s", error)  # noqa: TRY400 - the sentence says it all
            return True
        if account is None:
            return False
        return True if account.admin == user.admin else _model(account)

    def delete_user(self, user: Any) -> None:
        """A user deleted in the hub loses the account, or would be back with the next login."""
        try:
            if user.name in self._store.accounts():
                self._store.remove(user.name)
        except (SetupError, OSError) as error:
            self.log.error("The account of %s was not removed: %s", user.name, error)  # noqa: TRY400 - as above

    async def _verified(self, name: str, password: str) -> Account | None:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._checks, self._store.verified, name, password)
        except SetupError as error:
            self.log.error("%s", error)  # noqa: TRY400 - as above
            raise web.HTTPError(503, "Nobody can log in at this moment. Tell an administrator.") from error
        finally:
            self._waiting -= 1


class Throttle:
    """Makes guessing slow: after some failures a name must wait, longer with each further one.

    The waits stay short, since anybody can make anybody else wait. Only the
    names that failed last are kept, so that memory is bounded.
    """

    FREE = 5
    LONGEST_WAIT = 60.0
    MOST_NAMES = 10_000

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, name: str) -> float:
        """Seconds until the name may be tried again."""
        _, until = self._failures.get(name, (0, 0.0))
        return max(0.0, until - self._now())

    def failed(self, name: str) -> None:
        """Count a failure."""
        count = self._failures.pop(name, (0, 0.0))[0] + 1
        # 2^7 is beyond the longest wait; a higher power would only grow without end.
        wait = min(self.LONGEST_WAIT, 2.0 ** min(count - self.FREE, 7)) if count >= self.FREE else 0.0
        self._failures[name] = (count, self._now() + wait)
        if len(self._failures) > self.MOST_NAMES:
            self._failures.popitem(last=False)

    def forget(self, name: str) -> None:
        """The name was logged in as; start anew."""
        self._failures.pop(name, None)


def _model(account: Account) -> dict[str, Any]:
    return {"name": account.name, "admin": account.admin}
