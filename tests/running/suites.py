"""All suites, what matters most first."""

from __future__ import annotations

from running import needs
from running.runners import (
    BENCHMARKS,
    run_benchmark,
    run_hub5,
    run_images,
    run_imports,
    run_lint,
    run_properties,
    run_pytest,
    run_scale,
    run_soak,
    run_types,
)
from running.suite import Lane, Part, Suite, numbered

# What the images' content depends on; their tests run when it changes.
_IMAGE_TESTS = ("test_cluster_images.py", "test_spark_image.py", "test_unified_image.py", "test_unified_server.py")
_IMAGES = ("images", "spawner/stateroom/images*", *(f"tests/docker/{name}" for name in _IMAGE_TESTS))
# The hub suite's tests that depend on the hub's own API, which differs between its versions.
_API_TESTS = (
    "test_choices.py",
    "test_life.py",
    "test_options_api.py",
    "test_restart.py",
)

SUITES = (
    Suite("lint", "style of the code and the scripts", run_lint, parts=(Part(seconds=10),)),
    Suite("types", "mypy, strictly", run_types, parts=(Part(seconds=60),)),
    Suite("imports", "which modules import which", run_imports, parts=(Part(seconds=5),)),
    Suite("unit", "each module alone; needs no engine", run_pytest, parts=(Part(seconds=240),)),
    Suite(
        "contract",
        "every backend keeps the same promises",
        run_pytest,
        Lane.CLUSTER,
        (Part(seconds=90),),
        (needs.need_engine, needs.need_image, needs.need_network_tools, needs.need_cluster),
        optional_needs=True,
    ),
    Suite(
        "docker",
        "the Docker backend against a real engine",
        run_pytest,
        parts=(Part(seconds=420, options=tuple(f"--ignore-glob=*/{name}" for name in _IMAGE_TESTS)),),
        needs=(needs.need_engine, needs.need_image, needs.need_network_tools),
    ),
    Suite(
        "kubernetes",
        "the Kubernetes backend against a real cluster",
        run_pytest,
        Lane.CLUSTER,
        (Part(seconds=400),),
        (needs.need_engine, needs.need_image, needs.need_network_tools, needs.need_cluster),
    ),
    Suite(
        "hub",
        "a real hub, from the login to the cgroup",
        run_pytest,
        parts=(Part(seconds=420),),
        needs=(needs.need_engine, needs.need_image, needs.need_postgresql),
    ),
    Suite(
        "chart",
        "the Helm chart, rendered and on a real cluster",
        run_pytest,
        Lane.CLUSTER,
        (Part(seconds=400),),
        (
            needs.need_cluster_programs,
            needs.need_engine,
            needs.need_image,
            needs.need_postgresql,
            needs.need_browser,
            needs.need_network_tools,
            needs.need_cluster,
        ),
        optional_needs=True,
    ),
    Suite(
        "faults",
        "what is left when hub, engine or cluster fail or misbehave",
        run_pytest,
        Lane.CLUSTER,
        numbered("", 14, 300),
        (needs.need_engine, needs.need_network_tools, needs.need_cluster),
        each_run=1,
    ),
    Suite(
        "hostile",
        "one user's attacks on what all need",
        run_pytest,
        parts=numbered("", 6, 150),
        needs=(needs.need_engine, needs.need_image, needs.need_network_tools),
        each_run=1,
    ),
    Suite(
        "browser",
        "a user's way through a real browser",
        run_pytest,
        parts=(Part(seconds=160),),
        needs=(
            needs.need_engine,
            needs.need_image,
            needs.need_browser,
            needs.need_network_tools,
            needs.need_cluster,
        ),
    ),
    Suite(
        "hub5",
        "the hub suite with JupyterHub 5",
        run_hub5,
        Lane.ENGINE,  # as whatever writes the machine's packet rules, which the docker suite compares
        (
            Part("api", 140, _API_TESTS),
            *numbered("rest", 3, 180, *(f"--ignore-glob=*/{name}" for name in _API_TESTS)),
        ),
        (needs.need_engine, needs.need_image, needs.need_postgresql, needs.need_hub5),
    ),
    Suite(
        "properties",
        "the unit suite's generated examples, twenty times as many",
        run_properties,
        parts=numbered("", 3, 150, "-m", "hypothesis", "--hypothesis-profile=nightly"),
    ),
    # Builds two images, so it comes after what people use.
    Suite(
        "images",
        "what is in the unified images, and how their servers behave",
        run_images,
        parts=(Part(seconds=800, options=_IMAGE_TESTS, inputs=_IMAGES),),
        needs=(needs.need_engine, needs.need_image, needs.need_network_tools),
    ),
    Suite(
        "podman",
        "the contract on Podman",
        run_pytest,
        Lane.CLUSTER,  # its engine is its own
        (Part(seconds=150, rotated=True),),
        (needs.need_engine, needs.need_image, needs.need_podman),
    ),
    # JupyterHub's own tests expect answers within seconds, also on a busy machine.
    Suite(
        "jupyterhub",
        "JupyterHub's own tests, with our class for their spawners",
        run_pytest,
        Lane.ALONE,
        (Part("memory", 120, ("-k", "memory")), *numbered("docker", 2, 150, "-k", "docker")),
        (needs.need_engine, needs.need_image),
        optional_needs=True,
    ),
    # Figures and growth are measured on a machine that does nothing else.
    Suite(
        "benchmark",
        "what things cost, in figures",
        run_benchmark,
        Lane.ALONE,
        tuple(Part(benchmark.name, 900) for benchmark in BENCHMARKS),
        on_request=True,
    ),
    Suite(
        "scale",
        "what 10,000 servers on Kubernetes cost a hub",
        run_scale,
        Lane.ALONE,
        (Part(seconds=1800),),
        (needs.need_comparison_spawners, needs.need_cluster_programs),
        on_request=True,
    ),
    Suite(
        "soak",
        "2,000 starts and stops leave nothing behind",
        run_soak,
        Lane.ALONE,
        (Part(seconds=1100),),
        (needs.need_engine, needs.need_image),
        on_request=True,
    ),
)
