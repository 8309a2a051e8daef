"""The hub's configuration in a cluster.

What the chart decides comes by variables, which README.md lists. What an
admin adds is in files: YAML with traits (`{Authenticator: {allow_all: true}}`),
then Python, each kind by name. Secrets of the hub's own are in the variables
that JupyterHub reads itself.
"""
# ruff: noqa: INP001 - the hub reads this file where it stands

import os
from pathlib import Path

import yaml
from traitlets.config import Config

import stateroom

c = get_config()  # type: ignore[name-defined] # noqa: F821 - the hub puts it here

data = Path(os.environ.get("STATEROOM_DATA", "/srv/stateroom"))
catalog = os.environ.get("STATEROOM_CATALOG", "/etc/stateroom/catalog/catalog.yaml")
further = Path(os.environ.get("STATEROOM_CONFIGURATION", "/etc/stateroom/hub.d"))

c.JupyterHub.allow_named_servers = True
# First, for what follows adds to lists such as `services` rather than replace them.
for file in sorted(further.glob("*.yaml")):
    c.merge(Config(yaml.safe_load(file.read_text()) or {}))

if "STATEROOM_HOST_NAMES" in os.environ and "subdomain_host" not in c.JupyterHub:
    c.JupyterHub.subdomain_host = os.environ["STATEROOM_HOST_NAMES"]

hub_id = os.environ.get("STATEROOM_HUB_ID", "")
stateroom.configure(c, catalog=catalog, backend="kubernetes", data=data, hub_id=hub_id)

c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = os.environ["STATEROOM_HUB_URL"]
# The proxy is a pod of its own, so that users' connections outlive the hub's.
c.JupyterHub.proxy_class = "stateroom"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = os.environ["STATEROOM_PROXY_API_URL"]
c.JupyterHub.cleanup_proxy = False

c.JupyterHub.db_url = os.environ.get("STATEROOM_DATABASE_URL") or f"sqlite:///{data / 'jupyterhub.sqlite'}"
if c.JupyterHub.db_url.startswith("postgresql"):
    # While the hub waits for its database it does nothing else, and the driver's own limits are minutes.
    c.JupyterHub.db_kwargs = {"connect_args": {"connect_timeout": 5, "tcp_user_timeout": 10_000}}
c.JupyterHub.upgrade_db = True

for file in sorted(further.glob("*.py")):
    load_subconfig(str(file))  # type: ignore[name-defined] # noqa: F821 - the hub puts it here
