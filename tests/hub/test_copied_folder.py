"""A copy of a data folder, used beside the original: it takes nothing from the hub that runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.hub import STATEROOM, free_port, running_hub
from harness.outside import packet_rules
from stateroom.workloads.names import network_name


def test_the_hub_of_a_copy_is_refused_and_its_down_removes_nothing(tmp_path: Path) -> None:
    folder, copy = tmp_path / "hub", tmp_path / "copy"
    folder.mkdir()
    with running_hub(folder) as hub:
        person = hub.person()
        person.started()
        rules = packet_rules(hub.id)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.lock", "*.sock"))
        for words in (["up", "--port", str(free_port()), "--catalog", str(hub.catalog)], ["down"]):
            ended = subprocess.run(
                [STATEROOM, *words, "--data", copy], capture_output=True, text=True, timeout=120, check=False
            )
            assert ended.returncode == 1, ended
            assert f'Another hub with the id "{hub.id}" runs on this machine (process ' in ended.stderr
            assert f"in {folder})" in ended.stderr
            assert "stop that one, or give this one an id of its own (`hub:` in the catalog)." in ended.stderr
        assert packet_rules(hub.id) == rules
        assert hub.servers.engine.networks.list(names=[network_name(hub.id)])
        assert person.reaches_server()
        person.stop()
        person.close()
