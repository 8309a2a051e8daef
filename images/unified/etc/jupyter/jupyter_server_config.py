"""What every server of this image starts with; a user's ~/.jupyter comes after it."""
# ruff: noqa: INP001 - Jupyter reads this file where it stands

import os
from pathlib import Path

c = get_config()  # noqa: F821 - Jupyter puts it here

# A hub that mounts the home elsewhere says so by JUPYTERHUB_ROOT_DIR.
root = Path(os.environ.get("JUPYTERHUB_ROOT_DIR") or "~/notebooks").expanduser()
c.ServerApp.root_dir = str(root)
c.ServerApp.open_browser = False

# Lab asks nobody but its own server: no news, no version checks, no extension catalog.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# Terminals open in the server's own folder, and what is saved outside the home is lost.
os.chdir(root)
