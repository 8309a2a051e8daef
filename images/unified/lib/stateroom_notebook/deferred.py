"""Modules that a start of the server names, but does not use, are loaded on first use.

They cost a start a third of its time. JupyterHub's client is one package with
the hub itself, and so brings the hub's database along; JupyterLab brings an
HTTP client for settings that this image does not ask other machines for.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import PathFinder
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
    "IPython": {},
    "requests": {},  # jupyterlab_server.listings_handler
}

# Parts that work without the rest, and are asked for: by jupyter_client.kernelspec, and by jupyterhub.utils.
ALONE = {"IPython": ("IPython.paths",), "sqlalchemy": ("sqlalchemy.exc",)}


def defer_all() -> None:
    """Defer each module that there is, unless it is loaded already."""
    for name, attributes in DEFERRED.items():
        defer(name, attributes, ALONE.get(name, ()))


def defer(name: str, attributes: dict[str, object], alone: Sequence[str] = ()) -> None:
    """Let a module be loaded when anything of it is used but these attributes, and the parts that are loaded `alone`.

    Nothing, where there is none.
    """
    if name in sys.modules:
        return
    parent, _, child = name.rpartition(".")
    try:
        within = importlib.import_module(parent) if parent else None
        spec = PathFinder.find_spec(name, _path(within))
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
    for part in alone:
        importlib.import_module(part)
    vars(module).pop("__path__", None)


def _path(package: ModuleType | None) -> Sequence[str] | None:
    """Where a package's modules are, without a use of it."""
    spec = package and package.__spec__
    return (spec.submodule_search_locations or ()) if spec else None


_loading = threading.RLock()
_running: set[str] = set()  # the modules whose code runs, all in the thread that has the lock


class _Deferred(ModuleType):
    """A module whose code has not run.

    Python's own LazyLoader would run it for whoever looks through all modules.
    To import one of its parts takes its `__path__`, and so runs it first, as
    everywhere: many parts need each other, and only the whole knows the order.
    """

    def __getattr__(self, name: str) -> object:
        if name == "__version__" and "." not in self.__name__:
            return importlib.metadata.version(self.__name__)
        # Whoever looks through all modules asks for other such names, as `inspect` does.
        if name.startswith("__") and name != "__all__" and not (name == "__path__" and self._is_package()):
            raise AttributeError(name)
        if submodule := sys.modules.get(f"{self.__name__}.{name}"):
            return submodule
        with _loading:
            if self.__name__ in _running:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} yet")
            if isinstance(self, _Deferred):  # until another thread was at it
                self._load()
        return getattr(self, name)

    def _is_package(self) -> bool:
        return self.__spec__ is not None and self.__spec__.submodule_search_locations is not None

    def _load(self) -> None:
        spec = self.__spec__
        assert spec is not None and spec.loader is not None  # noqa: S101 - `defer` has seen to it
        _running.add(self.__name__)
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations
        try:
            spec.loader.exec_module(self)
            self.__class__ = ModuleType
        finally:
            _running.remove(self.__name__)
