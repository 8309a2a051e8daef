"""Everything that imports JupyterHub."""
