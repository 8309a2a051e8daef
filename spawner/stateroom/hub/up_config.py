"""The hub's configuration under `stateroom up`, which starts it with its mark and in the data folder."""

import os
from pathlib import Path

from stateroom.common.parent_death import end_with_parent
from stateroom.hub.configure import configure
from stateroom.hub.proxy import LocalProxy
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.processes import HUB_MARK

c = get_config()  # type: ignore[name-defined] # noqa: F821 - the hub puts it here

data = DataFolder(Path(os.environ[HUB_MARK]))
settings = data.settings()
if settings is None:
    raise SystemExit("This file is for `stateroom up`; it needs the settings that `up` writes.")

# `up` may be killed without a chance to end its hub: the hub then ends itself.
end_with_parent(os.getppid())

# Before `configure`, whose packet rules name the port.
c.JupyterHub.hub_port = settings.hub_port
if settings.hub_ip:
    c.JupyterHub.hub_ip = settings.hub_ip
if settings.kubeconfig:
    os.environ["KUBECONFIG"] = settings.kubeconfig

c.JupyterHub.bind_url = settings.proxy_url
if settings.host_names:
    c.JupyterHub.subdomain_host = settings.url
    c.JupyterHub.proxy_class = LocalProxy
else:
    c.JupyterHub.subdomain_host = ""
    c.JupyterHub.public_url = f"{settings.url}/"
if settings.tls_cert:
    c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = settings.tls_cert, settings.tls_key

configure(c, catalog=settings.catalog, backend=settings.backend, data=data.path)

c.JupyterHub.authenticator_class = "stateroom-accounts"
c.AccountsAuthenticator.accounts_file = str(data.accounts)

c.ConfigurableHTTPProxy.command = list(settings.proxy_command)
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.proxy_port}"
c.ConfigurableHTTPProxy.pid_file = str(data.proxy_pid)

# Relative to the data folder, since a path in a URL would have to be quoted.
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(data.path / "cookie-secret")
# A newer JupyterHub finds an older database; it keeps a copy of it.
c.JupyterHub.upgrade_db = True

c.JupyterHub.allow_named_servers = True

if data.own_configuration.exists():
    load_subconfig(str(data.own_configuration))  # type: ignore[name-defined] # noqa: F821 - the hub puts it here
