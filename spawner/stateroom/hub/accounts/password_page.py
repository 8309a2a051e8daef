"""The page on which people change their own password. All their other sessions, and their tokens, end with it."""

from __future__ import annotations

from http import HTTPStatus

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from stateroom.common.errors import SetupError
from stateroom.hub.accounts.login_queue import source_of
from stateroom.operations.accounts import SHORTEST_PASSWORD


class PasswordPage(BaseHandler):
    """`/hub/password`."""

    @web.authenticated
    async def get(self) -> None:
        """Show the form."""
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        """Set the password if the current one is right and the new ones agree; then this session alone goes on."""
        user = self.current_user
        current, new, again = (self.get_body_argument(name, "", strip=False) for name in ("current", "new", "again"))
        if await self.authenticator.verified(source_of(self), user.name, current) is None:
            return await self._show("current", "This is not your current password.")
        if new != again:
            return await self._show("again", "The two new passwords differ.")
        try:
            self.authenticator.change_password(user, new)
        except SetupError as error:
            return await self._show("new", str(error))
        self.log.info("%s has a new password.", user.name)
        self.set_login_cookie(user)
        return await self._show(is_changed=True)

    async def _show(self, field: str = "", problem: str = "", *, is_changed: bool = False) -> None:
        if problem:
            self.set_status(HTTPStatus.BAD_REQUEST)
        html = await self.render_template(
            "password.html",
            field=field,
            problem=problem,
            is_changed=is_changed,
            shortest=SHORTEST_PASSWORD,
            xsrf=self.xsrf_token.decode("ascii"),
        )
        self.finish(html)
