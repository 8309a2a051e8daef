"""Modules that a start of the server names, but does not use, are loaded on first use.

They cost a start a third of its time. JupyterHub's client is one package with
the hub itself, and so brings the hub's database along; JupyterLab brings two
HTTP clients for things that this image does not ask other machines for.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import threading
from types import ModuleType


class _NeverAHealthCheck:
    """Stands for the hub's own handler, of which a notebook server has none."""


# A module, and what is taken from it when it is named.
DEFERRED: dict[str, dict[str, object]] = {
    "sqlalchemy": {},
    "jupyterhub.orm": {},
    "jupyterhub.roles": {},
    "jupyterhub.handlers": {},
    "jupyterhub.handlers.pages": {"HealthCheckHandler": _NeverAHealthCheck},  # jupyterhub.log asks for its type
    "IPython": {},  # jupyter_client.kernelspec asks it for a folder
    "requests": {},  # jupyterlab_server.listings_handler
    "httpx": {},  # jupyterlab.extensions.pypi
}


def defer_all() -> None:
    """Defer each module that there is, unless it is loaded already."""
    for name, attributes in DEFERRED.items():
        defer(name, attributes)


def defer(name: str, attributes: dict[str, object]) -> None:
    """Let a module be loaded when anything of it but these attributes is used. Nothing, where there is none."""
    if name in sys.modules:
        return
    parent, _, child = name.rpartition(".")
    try:
        within = importlib.import_module(parent) if parent else None
        spec = importlib.util.find_spec(name)
    except ImportError:
        return
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    vars(module).update(attributes)
    sys.modules[name] = module
    if within is not None:
        setattr(within, child, module)


_loading = threading.RLock()
_running: set[str] = set()  # the modules whose code runs, all in the thread that has the lock


class _Deferred(ModuleType):
    """A module whose code has not run. Python's own LazyLoader would run it for the import of a submodule too."""

    def __getattr__(self, name: str) -> object:
        if name == "__version__" and "." not in self.__name__:
            return importlib.metadata.version(self.__name__)
        # Whoever looks through all modules asks for other such names, as `inspect` does.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if submodule := sys.modules.get(f"{self.__name__}.{name}"):
            return submodule
        with _loading:
            if self.__name__ in _running:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} yet")
            if isinstance(self, _Deferred):  # until another thread was at it
                self._load()
        return getattr(self, name)

    def _load(self) -> None:
        spec = self.__spec__
        assert spec is not None and spec.loader is not None  # noqa: S101 - `defer` has seen to it
        _running.add(self.__name__)
        try:
            spec.loader.exec_module(self)
            self.__class__ = ModuleType
        finally:
            _running.remove(self.__name__)
