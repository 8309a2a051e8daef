"""Start a server of this image: the user's of a JupyterHub where there is one, else plain JupyterLab.

Both commands of the image are a function here, so that a start takes one
interpreter and no more. What it leaves for later is in `deferred`.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Sequence

from stateroom_notebook.deferred import defer_all

_USUAL = gc.get_threshold()
_OBJECTS_OF_A_START = 1_000_000  # more than it makes


def notebook() -> None:
    """`start-notebook.py`."""
    if "JUPYTERHUB_API_TOKEN" in os.environ:
        singleuser()
    else:
        lab()


def singleuser() -> None:
    """`start-singleuser.py`; the hub's variables say where."""
    _prepare(["jupyterhub-singleuser"])
    from jupyterhub.singleuser import main  # noqa: PLC0415 - what is to be deferred is known now

    sys.exit(main())


def lab() -> None:
    """JupyterLab for whoever has its token."""
    _prepare(["jupyter-lab", "--ip=0.0.0.0"])
    from jupyterlab.labapp import main  # noqa: PLC0415 - as above

    sys.exit(main())


def _prepare(command: Sequence[str]) -> None:
    sys.argv = [*command, *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")), *sys.argv[1:]]
    # A start makes many objects and throws few away. `running` sets this back; a server
    # whose user has turned our extension off must not do without.
    gc.set_threshold(_OBJECTS_OF_A_START, *_USUAL[1:])
    defer_all()


def running() -> None:
    """The server answers: what was made until now stays, and is not looked through any more."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
