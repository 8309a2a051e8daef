"""What an engine says of an image, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from stateroom.common.quantity import format_image_size
from stateroom.images.metadata import Part, image_from, largest_parts
from stateroom.operations.images.shipped import built_image

MB = 1000 * 1000
INSTALLS = "/bin/sh -c apt-get update &&     DEBIAN_FRONTEND=noninteractive apt-get install --yes git"


@pytest.mark.parametrize(
    ("made_by", "told"),
    [
        ("", "the base image"),
        ("/bin/sh -c #(nop) ADD file:5310f14a in / ", "the base image"),
        ("/bin/sh -c #(nop) COPY --chown=1000:100dir:5310f14a in /opt/stateroom ", "COPY to /opt/stateroom"),
        ("COPY /opt/stateroom /opt/stateroom # buildkit", "COPY to /opt/stateroom"),
        ("RUN |1 R=4.5 /bin/sh -c apt-get install git # buildkit", "RUN apt-get install git"),
        (INSTALLS, "RUN apt-get install git"),
        (f"RUN {INSTALLS} # buildkit", "RUN apt-get install git"),
        (f"|1 BASE=debian {INSTALLS}", "RUN apt-get install git"),
        (f"/bin/sh -c {'x' * 100}", f"RUN {'x' * 55}…"),
    ],
)
def test_a_part_is_told_by_the_step_that_made_it(made_by: str, told: str) -> None:
    assert largest_parts([{"Size": 20 * MB, "CreatedBy": made_by}]) == [Part(20 * MB, told)]


def test_the_largest_part_comes_first_and_small_ones_are_left_out() -> None:
    history = [{"Size": size * MB, "CreatedBy": ""} for size in (0, 9, 10, 500, 40)]
    assert [part.size // MB for part in largest_parts(history)] == [500, 40, 10]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 MB"), (795_845_231, "796 MB"), (1_000_000_000, "1.00 GB"), (1_995_000_000, "2.00 GB")]
)
def test_sizes_are_counted_as_engines_do(size: int, text: str) -> None:
    assert format_image_size(size) == text


def test_a_build_ends_with_the_images_size_and_its_largest_parts() -> None:
    class Engine:
        def inspect_image(self, reference: str) -> dict[str, Any]:
            return {"Id": f"sha256:{reference}", "Size": 796 * MB}

        def history(self, image: str) -> list[dict[str, Any]]:
            assert image == "sha256:lab:1"
            return [{"Size": 20 * MB, "CreatedBy": INSTALLS}, {"Size": 164 * MB, "CreatedBy": ""}]

    image = built_image(Engine(), "lab:1", built=False)  # type: ignore[arg-type]
    assert image is not None
    assert list(image.lines()) == [
        "lab:1 is up to date: 796 MB",
        "    164 MB  the base image",
        "     20 MB  RUN apt-get install git",
    ]


def test_an_image_says_by_its_labels_what_it_has() -> None:
    labels = {
        "io.stateroom.kernels": "python3 ir",
        "io.stateroom.versions": "python=3.13 r=4.5",
        "io.stateroom.jupyterhub": "6",
    }
    image = image_from({"Id": "sha256:1", "Size": 1, "Config": {"Labels": labels}})
    assert image.kernels == ("python3", "ir")
    assert image.versions == ("python 3.13", "r 4.5", "jupyterhub 6")


def test_an_image_without_labels_says_nothing() -> None:
    image = image_from({"Id": "sha256:1", "Size": 1, "Config": {"Labels": None}})
    assert (image.kernels, image.jupyterhub, image.versions) == (None, None, ())
