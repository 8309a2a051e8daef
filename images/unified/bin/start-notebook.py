#!/opt/stateroom/bin/python -I
"""Serve one user of a JupyterHub where there is one, else plain JupyterLab."""

import os
import shlex
import sys

program = ["start-singleuser.py"]
if "JUPYTERHUB_API_TOKEN" not in os.environ:
    program = ["jupyter", "lab", "--ip=0.0.0.0", *shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))]
command = [*program, *sys.argv[1:]]
os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose
