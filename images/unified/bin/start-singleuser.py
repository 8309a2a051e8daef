#!/opt/stateroom/bin/python -I
"""Serve one user of a JupyterHub; the hub's variables say where."""

import os
import shlex
import sys

command = ["jupyterhub-singleuser", *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")), *sys.argv[1:]]
os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose
