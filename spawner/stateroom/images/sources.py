"""The images that ship with Stateroom, and the files that each is made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from stateroom.common.shipped import PACKAGE, shipped

_INSTALLED = distribution("stateroom")

UNIFIED = "stateroom/unified:1"
UNIFIED_SPARK = "stateroom/unified-spark:1"
HUB_IMAGE = f"stateroom/hub:{_INSTALLED.version}"
PROXY_IMAGE = f"stateroom/proxy:{_INSTALLED.version}"

_PROXY_LOCK_FOLDER = PACKAGE / "operations" / "local" / "proxy"
_CODE = "package"  # where the hub's build finds Stateroom itself
_BILL = ("sbom.lock", "sbom.py")  # what writes one
_PROXY_LOCK = ("package.json", "package-lock.json")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. `files` are what its build sees, by their paths there; `base` is the one of ours below it."""

    name: str  # also of its folder, and on the command line
    title: str
    reference: str
    installs: str  # what its longest step installs, for the person who waits
    files: Mapping[str, bytes] = field(repr=False)
    base: Recipe | None = None
    seconds: int = 60  # that a build takes on two cores, from a base that is there

    @property
    def digest(self) -> str:
        """One hash over the names and contents of all files, those of its base included."""
        total = hashlib.sha256(self.base.digest.encode() if self.base else b"")
        for name in sorted(self.files, key=PurePosixPath):
            total.update(f"{name}\0{hashlib.sha256(self.files[name]).hexdigest()}\n".encode())
        return total.hexdigest()


def unified() -> Recipe:
    """The notebook image that the default catalog names."""
    return Recipe("unified", "notebook image", UNIFIED, "JupyterLab and the libraries", files_of("unified"), seconds=80)


def unified_spark() -> Recipe:
    """The notebook image with Spark, which catalogs may name; its bill of materials is written as that of the other."""
    below = unified()
    files = {**files_of("unified-spark"), **{name: below.files[name] for name in _BILL}}
    return Recipe("unified-spark", "Spark notebook image", UNIFIED_SPARK, "Spark", files, base=below)


def hub() -> Recipe:
    """The hub of a cluster, with the very Stateroom that builds it."""
    files = {**files_of("hub"), **_stateroom_itself()}
    return Recipe("hub", "hub image", HUB_IMAGE, "JupyterHub and its authenticators", files)


def proxy() -> Recipe:
    """The proxy of a cluster, of the same packages as that of `stateroom up`."""
    lock = {name: (_PROXY_LOCK_FOLDER / name).read_bytes() for name in _PROXY_LOCK}
    return Recipe("proxy", "proxy image", PROXY_IMAGE, "Node.js and the proxy", {**files_of("proxy"), **lock})


RECIPES = {"unified": unified, "hub": hub, "proxy": proxy, "unified-spark": unified_spark}
USUAL = ("unified", "hub", "proxy")  # what a command is about that names none; Spark takes a gigabyte


def folder_of(image: str) -> Path:
    """The folder of an image's own files: inside an installed package, else in the checkout."""
    return shipped(f"images/{image}", f"images/{image}")


def files_of(image: str) -> dict[str, bytes]:
    """An image's own files, by their paths in its folder."""
    return _read(folder_of(image))


def _stateroom_itself() -> dict[str, bytes]:
    """The package as it is here, and what makes it an installed one: its version and its entry points."""
    code = {f"stateroom/{path}": content for path, content in _read(PACKAGE).items() if not path.startswith("shipped/")}
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: stateroom\nVersion: {_INSTALLED.version}\n",
        "entry_points.txt": _INSTALLED.read_text("entry_points.txt") or "",
    }
    known = {f"stateroom-{_INSTALLED.version}.dist-info/{name}": text.encode() for name, text in about.items()}
    return {f"{_CODE}/{path}": content for path, content in {**code, **known}.items()}


def _read(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if "__pycache__" not in path.parts and not path.name.startswith(".")
    }
