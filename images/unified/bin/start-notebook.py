#!/opt/stateroom/bin/python -P
"""Serve one user of a JupyterHub where there is one, else plain JupyterLab."""

from stateroom_notebook.start import notebook

notebook()
