"""`stateroom up` with an admin's own lines of configuration, and a login that is not Stateroom's."""

from __future__ import annotations

from pathlib import Path

from harness.hub import Hub, Person
from harness.skips import skip_without_image

CONFIGURATION = """\
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "a password for all"
c.DummyAuthenticator.allow_all = True
c.JupyterHub.template_vars = {"announcement": "Closed on Friday"}
"""


def test_an_admins_own_lines_come_after_ours(tmp_path: Path) -> None:
    skip_without_image()
    (tmp_path / "jupyterhub_config.py").write_text(CONFIGURATION)
    hub = Hub(tmp_path)
    try:
        hub.up()
        assert "may bring a login of its own" in " ".join(hub.log().split())
        assert not (tmp_path / "accounts.json").exists()
        ada = Person(hub, "ada", "a password for all")
        assert "Closed on Friday" in ada.web.get(f"{hub.url}/hub/home", timeout=30).text
        assert ada.web.get(f"{hub.url}/hub/password", timeout=30).status_code == 404, "a page of our own accounts"
        ada.started()
        ada.stop()
        ada.close()
    finally:
        hub.down()
