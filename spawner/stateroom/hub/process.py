"""The hub's process under `stateroom up`: it loads its modules at once, and starts the hub when `up` sends a line.

`up` runs it with the hub's configuration file as its argument while it prepares
everything else. Where the preparation fails, `up` closes the process's input,
and the process ends.
"""

# ruff: noqa: E402 - the first line counts for the imports
import gc

gc.disable()  # imports leave no garbage, and looking for it takes a quarter of their time

import os
import signal
import sys

from jupyterhub.app import main

import stateroom.hub.accounts.authenticator
import stateroom.hub.configure
import stateroom.hub.spawner  # noqa: F401 - the configuration names it

gc.enable()
# JupyterHub ends its services by SIGINT. A shell without job control lets what it starts in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.stdin.readline():
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - its descriptor is all that counts
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    sys.argv[1:] = ["-f", *sys.argv[1:]]
    main()
