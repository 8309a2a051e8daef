"""The login page, at the hub's own host name alone where it has one."""

from __future__ import annotations

from urllib.parse import urlsplit

from jupyterhub.handlers.login import LoginHandler


class LoginPage(LoginHandler):
    """As JupyterHub's own. Asked for at a user's host name, or at the machine's address, it leads to the hub's name.

    A browser that was logged in there would be open to what a user's server sends.
    """

    async def prepare(self) -> None:
        """Lead to the hub's own name where this is another of the hub's."""
        own = urlsplit(self.subdomain_host)
        if own.hostname and self._is_another(self.request.host_name.lower(), own.hostname):
            self.redirect(f"{self.subdomain_host}{self.request.uri}")
            return
        await super().prepare()

    def _is_another(self, host: str, own: str) -> bool:
        """Whether a host is another name of the hub. A name that nobody knows may be a proxy's in front of it."""
        return host.endswith(f".{own}") or (own.endswith(".localhost") and host in {"127.0.0.1", "localhost"})
