#!/opt/stateroom/bin/python -P
"""Serve one user of a JupyterHub; the hub's variables say where."""

from stateroom_notebook.start import singleuser

singleuser()
