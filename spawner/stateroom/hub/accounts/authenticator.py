"""The hub's side of the accounts: log in with a name and a password from the accounts file.

The file alone says who may log in and who is an admin. `access` follows its
changes within seconds; beside that, each user's account is looked at again at
most ten seconds after the last look, and before every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Unicode, default

from stateroom.common.errors import SetupError
from stateroom.hub.accounts.access import Access
from stateroom.hub.accounts.login_page import LoginPage
from stateroom.hub.accounts.login_queue import LoginQueue, TooManyLogins, source_of
from stateroom.hub.accounts.password_page import PasswordPage
from stateroom.operations.accounts import LONGEST_NAME, Account, AccountStore, normal_name
from stateroom.operations.handed_passwords import remove_password

_REFRESH_SECONDS = 10


class AccountsAuthenticator(Authenticator):
    """Log in with an account of Stateroom's own."""

    accounts_file = Unicode("accounts.json", config=True, help="The file that `stateroom user` keeps.")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._store = AccountStore(Path(self.accounts_file))
        self._logins = LoginQueue(self._store.verified)
        self._access: Access | None = None  # once the hub has made its users

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

    async def authenticate(self, handler: Any, data: Mapping[str, str]) -> dict[str, Any] | None:
        """Name and admin status if the password is right, else None."""
        name, password = normal_name(data.get("username", "")), data.get("password", "")
        if not 0 < len(name) <= LONGEST_NAME:
            return None
        account = await self.verified(source_of(handler), name, password)
        if account is None:
            return None
        self._forget_handed_over(name)
        if self._access and not await self._access.is_gone(name):
            raise web.HTTPError(503, "An earlier account of this name is still being removed. Try again in a minute.")
        known = self._store.accounts().get(name)  # it may have been removed or renamed meanwhile
        return _model(known) if known and known.id == account.id else None

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:  # noqa: ARG002
        """Whether the account is still there, with its admin status if that changed."""
        try:
            if self._access:
                self._access.follow()
            account = self._store.accounts().get(user.name)
        except (SetupError, OSError) as error:
            # A file that cannot be read, or a full disk, says nothing about anybody's account.
            self.log.error("%s", error)  # noqa: TRY400 - the sentence says it all
            return True
        if account is None or (self._access and not self._access.is_current(user, account)):
            return False
        return True if account.admin == user.admin else _model(account)

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """The page of one's own password. The hub asks when it knows its users: from then on, access is followed."""
        self._access = Access(app, self._store)
        self._access.begin()
        app.template_vars["has_own_password"] = True
        return [("/login", LoginPage), ("/password", PasswordPage)]

    def add_user(self, user: Any) -> None:
        """Give a user whom an admin adds on the hub's page an account. It has no password until an admin sets one.

        Raises SetupError for a name that no account can have.
        """
        super().add_user(user)
        if self._access is None:  # a user of earlier, as the hub starts
            return
        if user.name not in self._store.accounts():
            self._store.add_without_password(user.name, admin=bool(user.admin))
            self.log.warning("%s may log in once `stateroom user password` has set a password.", user.name)
        self._access.admit(user)

    def delete_user(self, user: Any) -> None:
        """A user deleted in the hub loses the account, or would be back with the next login."""
        if self._access:
            self._access.leave_to_hub(user)
        try:
            if user.name in self._store.accounts():
                self._store.remove(user.name)
        except (SetupError, OSError) as error:
            self.log.error("The account of %s was not removed: %s", user.name, error)  # noqa: TRY400 - as above

    def change_password(self, user: Any, password: str) -> None:
        """Set a user's password; all sessions and tokens end. Raises SetupError if it is invalid."""
        self._store.set_password(user.name, password)
        if self._access:
            self._access.follow()

    def _forget_handed_over(self, name: str) -> None:
        try:
            remove_password(name, self._store.path.parent)
        except (OSError, ValueError) as error:
            self.log.warning("The password that %s was given stays in its file: %s", name, error)

    async def verified(self, source: str, name: str, password: str) -> Account | None:
        """Return the account of `name` if the password is right. Raises HTTPError if that cannot be said now."""
        try:
            return await self._logins.verified(source, name, password)
        except TooManyLogins as error:
            where = "" if error.everywhere else " from your address"
            raise web.HTTPError(
                503 if error.everywhere else 429,
                f"Too many people log in{where} at this moment. Try again in a minute.",
            ) from None
        except SetupError as error:
            self.log.error("%s", error)  # noqa: TRY400 - as above
            raise web.HTTPError(503, "Nobody can log in at this moment. Tell an administrator.") from error


def _model(account: Account) -> dict[str, Any]:
    return {"name": account.name, "admin": account.admin}
