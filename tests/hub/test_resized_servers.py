"""A server that the engine was told to give more, as by `docker update`: what it has now counts everywhere."""

from __future__ import annotations

import pytest

from harness.hub import ON_ANY_MACHINE, Hub, Person, wait_for

GIB = 1024**3
CPU_PERIOD = 100_000  # of the kernel, in microseconds

pytestmark = pytest.mark.usefixtures("original")


def test_an_updated_server_counts_with_what_it_has_now_and_after_a_restart_of_the_hub_too(
    hub: Hub, person: Person, original: str
) -> None:
    share = 4 * GIB / hub.servers.engine.info()["MemTotal"] + 0.0001
    capacity = ON_ANY_MACHINE, f"docker: {{capacity: {{memory: {share:.6f}}}}}\n"
    hub.save_catalog(original.replace(*capacity).replace("memory: 32 GiB}", "memory: 3 GiB}"))
    person.started({"user_options": {"cpu": 1, "memory": "1 GiB"}}, server="gpu")
    assert "7 of 8 CPU and 2 GiB of 3 GiB memory" in form(hub, person)

    # Memory with swap, since the engine lets no memory grow beyond that.
    hub.servers.of(person.name)[0].update(mem_limit=2 * GIB, memswap_limit=2 * GIB, cpu_quota=2 * CPU_PERIOD)
    wait_for(lambda: "6 of 8 CPU and 1 GiB of 3 GiB memory" in form(hub, person), "the form with what is left now")
    assert_it_counts(hub, person)
    hub.kill()
    hub.up()
    person.wait_until_ready("gpu")
    assert "6 of 8 CPU and 1 GiB of 3 GiB memory" in form(hub, person)
    assert_it_counts(hub, person)


def assert_it_counts(hub: Hub, person: Person) -> None:
    """For its owner's quota, and for what the machine has left for somebody else."""
    refused = person.start({"user_options": {"cpu": 0.25, "memory": "1.5 GiB"}})
    assert refused.json()["message"] == (
        "You asked for 1.5 GiB of memory. Of the 3 GiB of memory that you may have at once, "
        "2 GiB of memory is used by gpu (2 GiB of memory); choose 1 GiB of memory or less, or stop one of them."
    )
    other = hub.person()
    try:
        assert "Left on the machine: 2" in form(hub, other)
        beyond = other.start({"user_options": {"cpu": 0.25, "memory": "2.5 GiB"}})
        assert "The machine has 2" in beyond.json()["message"]
    finally:
        other.close()


def form(hub: Hub, person: Person) -> str:
    return person.web.get(f"{hub.url}/hub/spawn/{person.name}").text
