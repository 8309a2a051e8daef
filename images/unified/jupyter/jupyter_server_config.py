"""What every server of this image's own environment starts with; a user's ~/.jupyter comes after it."""
# ruff: noqa: INP001 - Jupyter reads this file where it stands

import os
from pathlib import Path

from stateroom_notebook.static import StaticFiles

c = get_config()  # noqa: F821 - Jupyter puts it here

# A hub that mounts the home elsewhere says so by JUPYTERHUB_ROOT_DIR.
root = Path(os.environ.get("JUPYTERHUB_ROOT_DIR") or "~/notebooks").expanduser()
c.ServerApp.root_dir = str(root)
c.ServerApp.open_browser = False

# For how long a sign-in goes on here after it has ended at the hub: as after a new password.
c.HubOAuth.cache_max_age = 60

# Lab asks nobody but its own server: no news, no version checks, no extension catalog.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

c.KernelProvisionerFactory.default_provisioner_name = "stateroom-spare"

# A kernel that ran out of memory is told as such, and soon.
c.ServerApp.kernel_websocket_connection_class = "stateroom_notebook.memory.Connection"
c.KernelRestarter.time_to_dead = 1.0

# What is used of the server's limits, MEM_LIMIT and CPU_LIMIT, is shown in Lab.
c.ResourceUseDisplay.track_cpu_percent = True
c.ResourceUseDisplay.cpu_warning_threshold = 0  # it compares cores with percents: one percent would be too much

# What a page asks for, answered fast.
c.ServerApp.tornado_settings = {
    "static_handler_class": StaticFiles,
    # Behind TLS, no cookie goes without it.
    "xsrf_cookie_kwargs": {"secure": os.environ.get("JUPYTERHUB_PUBLIC_URL", "").startswith("https:")},
}
c.ServerApp.extra_services = ["stateroom_notebook.exporters"]

# Terminals open in the server's own folder, and what is saved outside the home is lost.
os.chdir(root)
