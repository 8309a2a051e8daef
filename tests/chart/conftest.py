"""The images of the chart in the cluster, and a release of it that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.images import engine_with
from harness.pods import core, in_cluster
from harness.release import Release, release_of_its_own
from stateroom.images.sources import HUB_IMAGE, PROXY_IMAGE, UNIFIED, hub, proxy


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All images that a release with default values needs, of these very files, in the cluster."""
    core()  # which skips where there is no cluster
    with engine_with(tmp_path_factory.mktemp("images") / "build.log", hub(), proxy()):
        for image in (HUB_IMAGE, PROXY_IMAGE, UNIFIED):
            in_cluster(image)


@pytest.fixture(scope="session")
def release(images: None) -> Iterator[Release]:  # noqa: ARG001 - made first
    """A release with default values and an authenticator."""
    with release_of_its_own() as release:
        release.apply({"prepull": {"hook": True}})  # the default, which `apply` leaves out
        yield release
