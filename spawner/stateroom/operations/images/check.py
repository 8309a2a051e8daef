"""Checks whether an image runs servers and kernels, and is what its label and the catalog say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import docker

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.common.errors import ImageUnfit
from stateroom.common.quantity import format_cpu
from stateroom.common.text import clipped, joined
from stateroom.images.build import stored_image
from stateroom.images.check.probe import PORT, SECONDS
from stateroom.images.check.trial import KernelRun, Trial, try_out
from stateroom.images.metadata import JUPYTERHUB_LABEL, KERNELS_LABEL, StoredImage
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import Choice
from stateroom.operations.checks.findings import Finding, Verdict, fail, ok, warn
from stateroom.operations.docker.engine import connected
from stateroom.operations.images.names import NamedImage, images_named
from stateroom.operations.local.catalog_file import chosen_catalog
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server, server_for

_NOBODY = "image-check"

Line = tuple[str, Finding]


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """A check of one image, ready to run."""

    image: NamedImage
    catalog: Catalog
    engine: docker.APIClient

    @property
    def title(self) -> str:
        """The image by its name and reference."""
        name, reference = self.image.name, self.image.reference
        return reference if name == reference else f"{name}, {reference}"

    def run(self, doing: Callable[[str], None]) -> list[Line]:
        """Start a container of the image and return what was found. `doing` receives each step."""
        return list(_look_at(self.engine, self.catalog, self.image, doing))


def image_checks(names: Sequence[str], catalog_file: Path | None) -> list[ImageCheck]:
    """Return a check for each named image, else for each of the catalog's. Raises SetupError and CatalogError."""
    catalog = chosen_catalog(catalog_file)
    images, engine = images_named(names, catalog), connected()
    return [ImageCheck(image, catalog, engine) for image in images]


def _look_at(
    engine: docker.APIClient, catalog: Catalog, image: NamedImage, doing: Callable[[str], None]
) -> Iterator[Line]:
    stored = stored_image(engine, image.reference)
    if stored is None:
        yield "Image", fail("it is not on this engine", f"{image.remedy} brings it.")
        return
    spec = spec_of(catalog, image)
    try:
        trial = try_out(engine, spec, doing)
    except ImageUnfit as error:
        yield "Image", Finding(Verdict.FAIL, str(error))
        return
    yield from findings(trial, stored, image, spec)


def spec_of(catalog: Catalog, image: NamedImage) -> Server:
    """Return a server of the catalog's default size, without GPUs, for a user who is in no group."""
    size, entry = catalog.default_size, image.entry or Image(id=_NOBODY, image=image.reference)
    return server_for(
        catalog,
        allowance_for(catalog, Person(_NOBODY)),
        Choice(entry, size, replace(size.resources, gpu=0)),
        ref=ServerRef(_NOBODY, _NOBODY),
        home=HomeRef(_NOBODY, _NOBODY, 0),
        base_url="/",
        variables={},
    )


def findings(trial: Trial, stored: StoredImage, image: NamedImage, spec: Server) -> Iterator[Line]:
    """Compare the result of a trial with the image's labels and the catalog. Pure."""
    yield "User", ok(f"it runs as user {trial.user}")
    yield "Home", _home(trial)
    yield "Hub", _jupyterhub(trial, stored.jupyterhub)
    yield "Server", _server(trial)
    yield "Cores", _cores(trial, spec)
    yield "Kernels", _kernels([kernel.name for kernel in trial.kernels], stored.kernels, image)
    for kernel in trial.kernels:
        yield "Kernel", _kernel(kernel)


def _home(trial: Trial) -> Finding:
    if trial.writable:
        return ok(f"{trial.home} can be written to")
    return fail(
        f"{trial.home} cannot be written to by user {trial.user}",
        "A server's home is mounted there; let that user enter the folders above it.",
    )


def _jupyterhub(trial: Trial, label: str | None) -> Finding:
    if not trial.singleuser:
        return fail(
            "there is no jupyterhub-singleuser on the PATH, by which a server answers its hub",
            "Install the package jupyterhub in the image.",
        )
    version = trial.jupyterhub or "of an unknown version"
    words = f"its servers are of JupyterHub {version}"
    if label is None:
        return ok(f"{words}; no label {JUPYTERHUB_LABEL} to compare it with")
    if version.split(".")[0] == label:
        return ok(f"{words}, as the label says")
    return fail(f"{words}, but the label {JUPYTERHUB_LABEL} says {label}", "Correct the label, or install that one.")


def _server(trial: Trial) -> Finding:
    if not trial.server_problem:
        return ok(f"it answers on port {PORT} after {trial.server_seconds:.1f} s")
    return fail(
        f"it does not answer on port {PORT}: {clipped(trial.server_problem)}",
        f"The image's command must serve notebooks at JUPYTERHUB_SERVICE_URL, and answer within {SECONDS} s.",
    )


def _cores(trial: Trial, spec: Server) -> Finding:
    reported, expected = trial.cores or "nothing", spec.container.environment["OMP_NUM_THREADS"].partition(",")[0]
    words = f"nproc says {reported} with {format_cpu(spec.container.resources.cpu)} CPU"
    if reported == expected:
        return ok(words)
    return warn(
        f"{words}, where OMP_NUM_THREADS is {expected}",
        "Programs may start a thread for each core of the machine; the nproc of GNU coreutils goes by that variable.",
    )


def _kernels(found: Sequence[str], label: Sequence[str] | None, image: NamedImage) -> Finding:
    installed = (
        f"there are {joined(found)}" if len(found) > 1 else f"there is {found[0]}" if found else "there are none"
    )
    declared = {f"the label {KERNELS_LABEL}": label} if label is not None else {}
    if image.entry and image.entry.kernels:
        declared["the catalog"] = image.entry.kernels
    wrong = {who: names for who, names in declared.items() if set(names) != set(found)}
    if wrong:
        words = joined([f"{who} says {joined(names) or 'none'}" for who, names in wrong.items()])
        return fail(f"{installed}, but {words}", f"Correct {joined(list(wrong))}, or the image.")
    if not found:
        return fail(installed, "Install one, such as the package ipykernel.")
    if declared:
        return ok(f"{installed}, as {joined(list(declared))} {'say' if len(declared) > 1 else 'says'}")
    return ok(f"{installed}; the image has no label {KERNELS_LABEL} to compare with")


def _kernel(kernel: KernelRun) -> Finding:
    if kernel.problem:
        return fail(
            f"{kernel.name} does not run: {clipped(kernel.problem)}",
            f"Put it right, or remove it: jupyter kernelspec remove {kernel.name}.",
        )
    did = "runs" if kernel.ran else f"answers (nothing is known to run in {kernel.language or 'its language'})"
    return ok(f"{kernel.name} {did}, {kernel.seconds:.1f} s")
