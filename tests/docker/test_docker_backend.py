"""What only Docker can show: the container's configuration, limits read back from inside, files and owners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from contract.engines import BASE_IMAGE, TOKEN, DockerSubject, build_image, docker_subject, make_spec, soon
from harness.hub import wait_for
from stateroom.backends.base import Life
from stateroom.backends.docker import DockerBackend
from stateroom.backends.docker.engine import ensure_network, start_container
from stateroom.backends.docker.payload import PROCESS_LIMIT, container_payload, facts_from_image
from stateroom.backends.memory import Behaviour
from stateroom.backends.readiness import wait_until_answers
from stateroom.catalog.storage import DockerHome
from stateroom.common.deadline import Deadline
from stateroom.common.errors import EngineRefused, HomeRefused, ImageUnfit, OutOfMemory, ServerEnded
from stateroom.common.labels import HUB
from stateroom.common.quantity import Resources
from stateroom.workloads.identity import look_labels
from stateroom.workloads.names import network_name
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import PORT, Server

GIB = 1024**3
STUB = (Path(__file__).parents[1] / "contract" / "stub.py").read_text()


@pytest.fixture
async def subject() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


def unheard(_: Progress) -> None:
    pass


async def started(subject: DockerSubject, **changes: object) -> Server:
    spec = make_spec(subject, **changes)
    await subject.backend.servers.start(spec, Deadline.after(90, "waiting"), unheard)
    return spec


def run(subject: DockerSubject, spec: Server, *command: str, user: str = "") -> str:
    """The output of a command inside the server, as its own user unless another is named."""
    task = subject.client.exec_create(spec.ref.name, list(command), user=user)["Id"]
    output = subject.client.exec_start(task).decode()
    assert subject.client.exec_inspect(task)["ExitCode"] == 0, output
    return output.strip()


def cgroup(subject: DockerSubject, spec: Server) -> tuple[str, float, str]:
    """Memory in bytes, CPUs and processes, as the kernel enforces them; cgroup v1 or v2."""
    script = """
        cd /sys/fs/cgroup
        if [ -f memory.max ]; then cat memory.max; cat cpu.max; cat pids.max
        else
            cat memory/memory.limit_in_bytes
            echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us)
            cat pids/pids.max
        fi
    """
    memory, cpu, processes = run(subject, spec, "sh", "-c", script).splitlines()
    quota, period = map(int, cpu.split())
    return memory, quota / period, processes


async def test_an_answer_from_the_address_of_a_server_that_has_ended_is_not_its_own(
    subject: DockerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(subject)

    async def somebody_else_answers(*_: object) -> None:
        subject.kill(spec.ref)

    monkeypatch.setattr("stateroom.backends.lifecycle.wait_until_answers", somebody_else_answers)
    with pytest.raises(ServerEnded, match=r"exit code 137"):
        await subject.backend.servers.start(spec, Deadline.after(30, "waiting"), unheard)


async def test_limits_hold_inside_the_server(subject: DockerSubject) -> None:
    spec = await started(subject, cpu=1500, memory=3 * GIB)
    assert cgroup(subject, spec) == (str(3 * GIB), 1.5, str(PROCESS_LIMIT))


async def test_more_cpus_than_the_machine_has_do_not_stop_a_start(subject: DockerSubject) -> None:
    spec = await started(subject, cpu=64_000)
    assert cgroup(subject, spec)[1] == 64


async def test_a_container_that_is_updated_is_listed_with_what_it_has_now_after_a_restart_too(
    subject: DockerSubject,
) -> None:
    spec = await started(subject, memory=GIB, memory_guarantee=GIB // 2)
    limits = {"mem_limit": 3 * GIB, "memswap_limit": 3 * GIB, "cpu_quota": 100_000}
    subject.client.update_container(spec.ref.name, **limits)
    now = Resources(1000, 3 * GIB, 0, 3 * GIB // 2)
    async with asyncio.timeout(10):
        while (await has(subject.backend)) != now:  # noqa: ASYNC110 - whatever the engine tells meanwhile
            await asyncio.sleep(0.05)
    again = subject.another_process()
    try:
        assert await has(again) == now
    finally:
        await again.close()


async def has(backend: DockerBackend) -> Resources:
    (listed,) = await backend.servers.list()
    return listed.resources


async def test_a_reservation_smaller_than_the_engine_takes_does_not_stop_a_start(subject: DockerSubject) -> None:
    spec = await started(subject, memory=64 * 1024**2, memory_guarantee=3 * 1024**2)
    assert subject.client.inspect_container(spec.ref.name)["HostConfig"]["MemoryReservation"] == 0


async def test_a_server_is_hardened_and_marked(subject: DockerSubject) -> None:
    spec = await started(subject)
    found = subject.client.inspect_container(spec.ref.name)
    host = found["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Memory"] == host["MemorySwap"] == spec.container.resources.memory
    assert host["PidsLimit"] == PROCESS_LIMIT
    assert host["Init"] is True
    assert found["Config"]["User"] == "1000:100"
    assert found["Config"]["Labels"].items() >= spec.ref.labels.items()
    assert not host["PortBindings"]
    status = run(subject, spec, "cat", "/proc/self/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


async def test_the_token_is_a_file_that_only_the_server_can_read(subject: DockerSubject) -> None:
    spec = await started(subject)
    found = subject.client.inspect_container(spec.ref.name)
    assert TOKEN not in json.dumps(found)
    file = f"/var/tmp/stateroom-{found['Config']['Hostname']}"
    assert run(subject, spec, "stat", "-c", "%a %u %g", file) == "400 1000 100"
    assert TOKEN in run(subject, spec, "cat", file)
    assert "/var/tmp" not in run(subject, spec, "cat", "/proc/mounts")
    # The server itself has it, and its home has not.
    server = run(
        subject,
        spec,
        "sh",
        "-c",
        "ls -d /proc/[0-9]*/exe | while read f; do readlink $f | grep -q python && echo $f; done",
    )
    environment = run(subject, spec, "sh", "-c", f"tr '\\0' '\\n' < {Path(server).parent}/environ")
    assert f"JUPYTERHUB_API_TOKEN={TOKEN}" in environment
    assert run(subject, spec, "sh", "-c", f"grep -rl {TOKEN} /home /tmp || true") == ""


async def test_values_of_secrets_are_not_read_as_shell(subject: DockerSubject) -> None:
    hostile = "a'b\"c $(touch /tmp/owned) `id` \\ é"
    spec = await started(subject, secrets={"JUPYTERHUB_API_TOKEN": hostile})
    script = '. /var/tmp/stateroom-*; printf %s "$JUPYTERHUB_API_TOKEN"; test ! -e /tmp/owned'
    assert run(subject, spec, "sh", "-c", script) == hostile


async def test_a_server_that_is_restarted_from_outside_has_its_secrets(subject: DockerSubject) -> None:
    spec = await started(subject)
    subject.client.restart(spec.ref.name, timeout=0)
    await answers_again(subject, spec)
    assert TOKEN in run(subject, spec, "sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")


async def answers_again(subject: DockerSubject, spec: Server) -> None:
    """Wait until the backend knows the server where the engine has it, and it answers there.

    The backend may have seen the server's end and start by now, or see them later:
    so no change is waited for.
    """
    found = subject.client.inspect_container(spec.ref.name)["NetworkSettings"]["Networks"][subject.settings.network]
    async with asyncio.timeout(60):
        state = await subject.backend.servers.state(spec.ref)
        while state.life is not Life.RUNNING or found["IPAddress"] not in state.address:
            await asyncio.sleep(0.1)
            state = await subject.backend.servers.state(spec.ref)
        await wait_until_answers(state.address, spec.base_url)


async def test_a_launcher_whose_hub_is_gone_before_it_hands_them_over_ends(subject: DockerSubject) -> None:
    spec = make_spec(subject)
    facts = facts_from_image(
        spec.container.image, subject.client.inspect_image(spec.container.image), "jovyan:x:1000:100::/home/jovyan:"
    )
    subject.client.create_container_from_config(container_payload(spec, facts, subject.settings), spec.ref.name)
    start_container(subject.client, spec.ref.name, b"")
    assert subject.client.wait(spec.ref.name, timeout=30)["StatusCode"] == 74
    assert b"the hub went away" in subject.client.logs(spec.ref.name)


async def test_files_in_the_home_outlive_the_container(subject: DockerSubject) -> None:
    spec = await started(subject)
    run(subject, spec, "sh", "-c", "echo kept > ~/notebooks/file && chmod 700 ~/notebooks")
    await subject.backend.servers.stop(spec.ref, Deadline.after(30, "stopping"))
    await started(subject)
    assert run(subject, spec, "cat", "/home/jovyan/notebooks/file") == "kept"
    assert run(subject, spec, "stat", "-c", "%a %u %g", "/home/jovyan/notebooks") == "700 1000 100"


async def test_a_home_is_writable_where_the_image_has_no_such_folder(subject: DockerSubject) -> None:
    spec = await started(subject, workspace="work/mine")
    run(subject, spec, "touch", "/home/jovyan/work/mine/file")
    assert run(subject, spec, "stat", "-c", "%u %g", "/home/jovyan/work/mine") == "1000 100"


async def test_a_home_that_an_interrupted_start_made_is_handed_over_by_the_next(subject: DockerSubject) -> None:
    home = make_spec(subject).home
    subject.client.create_volume(home.name, labels=dict(home.labels))
    spec = await started(subject, workspace="work/mine")
    run(subject, spec, "touch", "/home/jovyan/work/mine/file")


async def test_a_home_that_was_handed_over_is_left_as_its_owner_has_it(subject: DockerSubject) -> None:
    spec = await started(subject)
    run(subject, spec, "sh", "-c", "touch ~/notebooks/file && chmod 700 ~/notebooks")
    await subject.backend.servers.stop(spec.ref, Deadline.after(30, "stopping"))
    later = subject.another_process()
    await later.servers.start(spec, Deadline.after(30, "waiting"), unheard)
    await later.close()
    assert run(subject, spec, "stat", "-c", "%a %u", "/home/jovyan/notebooks") == "700 1000"


async def test_what_an_interrupted_look_into_an_image_left_is_removed_by_the_next(subject: DockerSubject) -> None:
    image = subject.image(Behaviour.ANSWERS)
    subject.client.create_container(image, labels=dict(look_labels(subject.hub)))
    spec = await started(subject)
    mine = subject.client.containers(all=True, filters={"label": f"{HUB}={subject.hub}"})
    assert [found["Names"] for found in mine] == [[f"/{spec.ref.name}"]]


async def test_a_host_folder_serves_as_home(tmp_path: Path) -> None:
    async with docker_subject(DockerHome(path=str(tmp_path))) as subject:
        spec = await started(subject)
        run(subject, spec, "sh", "-c", "echo kept > ~/notebooks/file")
        assert (tmp_path / spec.home.name / "file").read_text() == "kept\n"


@pytest.mark.parametrize(
    ("instructions", "sentence"),
    [
        ("USER root", "runs as root"),
        ("USER 0:0", "runs as root"),
        ("ENTRYPOINT []\nCMD []", "has no command"),
        ("USER 4711\nENV HOME=/", "no home directory"),
    ],
)
async def test_an_image_that_cannot_serve_is_refused(subject: DockerSubject, instructions: str, sentence: str) -> None:
    tag = build_image(
        subject.client, "stateroom.test/unfit:1", f"FROM {subject.image(Behaviour.ANSWERS)}\n{instructions}\n", ""
    )
    with pytest.raises(ImageUnfit, match=sentence):
        await started(subject, image=tag)
    assert await subject.backend.servers.list() == []


async def test_a_user_given_by_name_is_found_in_the_image(subject: DockerSubject) -> None:
    tag = build_image(
        subject.client,
        "stateroom.test/named:1",
        f"FROM {subject.image(Behaviour.ANSWERS)}\nUSER jovyan\nENV HOME=\n",
        "",
    )
    spec = await started(subject, image=tag)
    assert run(subject, spec, "id", "-u") == "1000"
    run(subject, spec, "touch", "/home/jovyan/notebooks/file")


async def test_servers_are_found_again_by_a_hub_that_restarts(subject: DockerSubject) -> None:
    spec = await started(subject)
    before = await subject.backend.servers.state(spec.ref)
    again = subject.another_process()
    try:
        assert await again.servers.state(spec.ref) == before
        assert [server.ref for server in await again.servers.list()] == [spec.ref]
    finally:
        await again.close()


async def test_one_backend_serves_all_networks_that_the_catalog_has_named(subject: DockerSubject) -> None:
    first, network = await started(subject), f"{subject.hub}-lab"
    ensure_network(subject.client, network, {HUB: subject.hub})
    subject.settings = replace(subject.settings, network=network)
    second = await started(subject, user="bob")
    # Joined by hand to the other's network, each keeps the address that it was made with.
    subject.client.connect_container_to_network(first.ref.name, network)
    subject.client.connect_container_to_network(second.ref.name, network_name(subject.hub))
    again = subject.another_process()
    try:
        for spec, its_network in ((first, network_name(subject.hub)), (second, network)):
            networks = subject.client.inspect_container(spec.ref.name)["NetworkSettings"]["Networks"]
            assert len(networks) == 2
            address = f"http://{networks[its_network]['IPAddress']}:{PORT}"
            assert (await subject.backend.servers.state(spec.ref)).address == address
            assert (await again.servers.state(spec.ref)).address == address
    finally:
        await again.close()


async def test_servers_do_not_reach_each_other(subject: DockerSubject) -> None:
    first, second = await started(subject), await started(subject, user="bob")
    address = (await subject.backend.servers.state(second.ref)).address
    script = f"import urllib.request as r; r.urlopen('{address}/', timeout=3)"
    task = subject.client.exec_create(first.ref.name, ["python3", "-c", script])["Id"]
    output = subject.client.exec_start(task).decode()
    assert subject.client.exec_inspect(task)["ExitCode"] != 0
    assert "timed out" in output or "refused" in output


async def test_running_out_of_memory_is_told(subject: DockerSubject) -> None:
    hog = "import time; open('/tmp/x','w'); b = bytearray(10**9); time.sleep(60)"
    tag = build_image(
        subject.client, "stateroom.test/hog:1", f'FROM {BASE_IMAGE}\nCMD ["python3", "-c", "{hog}"]\n', ""
    )
    spec = make_spec(subject, image=tag)
    with pytest.raises(OutOfMemory, match=r"ran out of its 128 MiB of memory before it answered\. Choose more"):
        await subject.backend.servers.start(spec, Deadline.after(30, "waiting"), unheard)


async def test_a_program_that_runs_out_of_memory_in_a_server_that_lives_on_is_told(subject: DockerSubject) -> None:
    spec = await started(subject)
    before = await subject.backend.servers.state(spec.ref)
    assert not before.out_of_memory
    greedy = "echo 1000 > /proc/self/oom_score_adj; exec python3 -c 'bytearray(10**9)'"
    task = subject.client.exec_create(spec.ref.name, ["sh", "-c", greedy])["Id"]
    subject.client.exec_start(task)
    assert subject.client.exec_inspect(task)["ExitCode"] == 137
    after = await asyncio.wait_for(subject.backend.servers.changed(spec.ref, before), 30)
    assert (after.life, after.out_of_memory) == (Life.RUNNING, True)


async def test_a_home_that_cannot_be_written_to_is_told_and_left_as_it_is(subject: DockerSubject) -> None:
    spec = await started(subject)
    run(subject, spec, "sh", "-c", "echo kept > ~/notebooks/file")
    await subject.backend.servers.stop(spec.ref, Deadline.after(30, "stopping"))
    as_root(subject, spec, "chown 0:0 /home-of-somebody && chmod 755 /home-of-somebody")
    with pytest.raises(HomeRefused) as refused:
        await started(subject)
    assert str(refused.value) == (
        f'Your home cannot be written to by the user of the image "{spec.container.image}", number 1000. '
        f"It was left as it is; an administrator must give {spec.home.name} to that user."
    )
    as_root(subject, spec, "grep -q kept /home-of-somebody/file && chown 1000:100 /home-of-somebody")
    await started(subject)


def as_root(subject: DockerSubject, spec: Server, script: str) -> None:
    """Run a script with the user's home at /home-of-somebody, as an administrator might."""
    container = subject.client.create_container_from_config(
        {
            "Image": BASE_IMAGE,
            "User": "0",
            "Entrypoint": ["sh", "-c", script],
            "Cmd": [],
            "Labels": {HUB: subject.hub},
            "HostConfig": {"NetworkMode": "none", "Binds": [f"{spec.home.name}:/home-of-somebody"]},
        }
    )["Id"]
    subject.client.start(container)
    assert subject.client.wait(container)["StatusCode"] == 0
    subject.client.remove_container(container)


async def test_a_start_that_the_engine_refuses_removes_nothing_of_somebody_else(subject: DockerSubject) -> None:
    spec = make_spec(subject, memory=1024)  # Docker refuses so little before it looks at the name
    subject.client.create_container_from_config(
        {"Image": BASE_IMAGE, "Labels": {HUB: "another"}, "Entrypoint": ["sleep", "60"], "Cmd": []}, spec.ref.name
    )
    try:
        with pytest.raises(EngineRefused, match="memory"):
            await subject.backend.servers.start(spec, Deadline.after(30, "waiting"), unheard)
        assert subject.client.inspect_container(spec.ref.name)["Config"]["Labels"][HUB] == "another"
    finally:
        subject.client.remove_container(spec.ref.name, force=True)


async def test_a_server_whose_container_was_renamed_gets_its_name_back_and_is_stopped_by_its_owner(
    subject: DockerSubject,
) -> None:
    spec = await started(subject)
    known = await subject.backend.servers.state(spec.ref)
    container = subject.client.inspect_container(spec.ref.name)["Id"]
    subject.client.rename(container, f"{spec.ref.name}-mine")
    wait_for(lambda: subject.client.inspect_container(container)["Name"] == f"/{spec.ref.name}", "the name")
    assert await subject.backend.servers.state(spec.ref) == known
    await subject.backend.servers.stop(spec.ref, soon())
    assert not subject.client.containers(all=True, filters={"id": container})


async def test_waiting_for_others_takes_nothing_of_a_starts_own_time(subject: DockerSubject) -> None:
    turns, heard = subject.backend._containers.turns, []
    async with AsyncExitStack() as stack:
        for _ in range(turns._free):
            await stack.enter_async_context(turns.turn(lambda _: None))
        starts = [
            asyncio.create_task(subject.backend.servers.start(make_spec(subject, user), soon(8), heard.append))
            for user in ("ada", "bob")
        ]
        await asyncio.sleep(10)  # longer than a start may take
        assert not any(start.done() for start in starts)
    await asyncio.gather(*starts)
    told = [progress.message for progress in heard if progress.message.startswith("Waiting for the servers that")]
    assert [words.rpartition(": ")[2] for words in told][:2] == ["yours is next", "1 start before yours"]
