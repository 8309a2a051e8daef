"""The disk of the hub's data is full: servers that run are used as before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import requests

from harness.hub import Hub, wait_for
from harness.kernels import KernelAt
from stateroom.operations.local.data import DataFolder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")

REQUESTS = 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150M,mode=0700", "tmpfs", disk], check=True, timeout=60)
    return disk


def test_notebooks_run_on_while_the_hubs_disk_is_full(small_disk: Path) -> None:
    hub = Hub(small_disk)
    try:
        hub.up()
        person = hub.person()
        person.started()
        base = f"{hub.url}/user/{person.name}"
        kernel = KernelAt(base, person.token, "python3")
        assert kernel.run("print(1)") == "1\n"

        port = DataFolder(small_disk).known_settings().proxy_port
        filling = small_disk / "filling"
        with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while file.write(b"\0" * 65536) == 65536 or file.write(b"\0"):
                pass
        for _ in range(REQUESTS):
            # Whatever asks the proxy's own API is in its log.
            assert requests.get(f"http://127.0.0.1:{port}/api/routes", timeout=20).status_code == 403
            answer = person.web.get(f"{base}/api", headers={"Authorization": f"token {person.token}"}, timeout=20)
            assert answer.status_code == 200
        assert kernel.run("print(2)") == "2\n"

        filling.unlink()
        wait_for(lambda: person.api("DELETE", f"users/{person.name}/server").status_code in {202, 204}, "the stop")
        wait_for(lambda: not hub.servers.of(person.name), "the server's end")
        person.started()
        person.stop()
        person.close()
    finally:
        hub.down()
        subprocess.run(["umount", "--lazy", small_disk], check=True, timeout=60)
