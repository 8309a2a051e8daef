"""Of two hubs with one id on a machine, the second is refused, with where the first one runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from stateroom.common.errors import SetupError
from stateroom.runtime.claim import claim, require_unclaimed

HOLD = "import sys; from stateroom.runtime.claim import claim; held = claim(sys.argv[1]); print(flush=True); input()"


@pytest.fixture
def hub_id() -> str:
    return f"hub-{uuid4().hex}"


def test_an_id_is_free_until_a_hub_has_it_and_again_when_that_ended_however_it_did(hub_id: str, tmp_path: Path) -> None:
    require_unclaimed(hub_id)
    command = [sys.executable, "-c", HOLD, hub_id]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hub:
        assert hub.stdout
        hub.stdout.readline()
        for refused in (claim, require_unclaimed, require_unclaimed):
            with pytest.raises(SetupError) as caught:
                refused(hub_id)
            assert f'with the id "{hub_id}" runs on this machine (process {hub.pid}, in {tmp_path})' in str(
                caught.value
            )
        hub.kill()
        hub.wait(30)
    claim(hub_id).close()
    require_unclaimed(hub_id)


def test_two_ids_are_two_claims(hub_id: str) -> None:
    with claim(hub_id), claim(f"{hub_id}-2"), pytest.raises(SetupError):
        claim(hub_id)
