"""What the unified image adds to JupyterLab's page."""

from __future__ import annotations

import hashlib
import json

from stateroom.images.sources import folder_of

FOLDER = folder_of("unified") / "labextension"


def test_the_script_is_named_by_its_content_since_browsers_keep_it_by_its_name() -> None:
    (script,) = (FOLDER / "static").iterdir()
    assert script.name == f"remoteEntry.{hashlib.sha256(script.read_bytes()).hexdigest()[:8]}.js"
    package = json.loads((FOLDER / "package.json").read_text())
    assert package["jupyterlab"]["_build"]["load"] == f"static/{script.name}"
