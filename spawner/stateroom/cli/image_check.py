"""`stateroom images check`: whether an image runs servers and kernels, and is what its label and the catalog say."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import docker

from stateroom.catalog import Catalog, Image
from stateroom.choice import Choice
from stateroom.cli.arguments import chosen_catalog
from stateroom.cli.docker.engine import connected
from stateroom.cli.findings import Finding, Verdict, fail, ok, warn
from stateroom.cli.image_names import NamedImage, images_named
from stateroom.cli.screen import Screen
from stateroom.errors import ImageUnfit
from stateroom.images import stored_image
from stateroom.inventory import JUPYTERHUB_LABEL, KERNELS_LABEL, StoredImage
from stateroom.names import HomeRef, ServerRef
from stateroom.policy import Person, allowance_for
from stateroom.probe import PORT, SECONDS
from stateroom.quantity import format_cpu
from stateroom.spec import ServerSpec, build_spec
from stateroom.trial import KernelRun, Trial, try_out
from stateroom.wording import clipped, joined

_NOBODY = "image-check"

_Line = tuple[str, Finding]


def run(arguments: argparse.Namespace) -> int:
    """Try each image out, and print a line for each thing that was looked at."""
    catalog = chosen_catalog(arguments)
    images, engine, screen = images_named(arguments.images, catalog), connected(), Screen()
    verdicts = set()
    for image in images:
        screen.heading(image.reference if image.name == image.reference else f"{image.name}, {image.reference}")
        for name, finding in _looked_at(engine, catalog, image, screen):
            screen.finding(name, finding)
            verdicts.add(finding.verdict)
    return 1 if Verdict.FAIL in verdicts else 0


def _looked_at(engine: docker.APIClient, catalog: Catalog, image: NamedImage, screen: Screen) -> Iterator[_Line]:
    stored = stored_image(engine, image.reference)
    if stored is None:
        yield "Image", fail("it is not on this engine", f"{image.remedy} brings it.")
        return
    spec = spec_of(catalog, image)
    try:
        with screen.console.status("Starting a container of it …") as status:
            trial = try_out(engine, spec, lambda doing: status.update(f"{doing} …"))
    except ImageUnfit as error:
        yield "Image", Finding(Verdict.FAIL, str(error))
        return
    yield from findings(trial, stored, image, spec)


def spec_of(catalog: Catalog, image: NamedImage) -> ServerSpec:
    """A server of the catalog's default size, without GPUs, of somebody who is in no group."""
    size, entry = catalog.default_size, image.entry or Image(id=_NOBODY, image=image.reference)
    return build_spec(
        catalog,
        allowance_for(catalog, Person(_NOBODY)),
        Choice(entry, size, size.cpu, size.memory),
        ref=ServerRef(_NOBODY, _NOBODY),
        home=HomeRef(_NOBODY, _NOBODY, 0),
        base_url="/",
        variables={},
    )


def findings(trial: Trial, stored: StoredImage, image: NamedImage, spec: ServerSpec) -> Iterator[_Line]:
    """What came of a trial, beside what the image's labels and the catalog say; pure."""
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


def _cores(trial: Trial, spec: ServerSpec) -> Finding:
    said, expected = trial.cores or "nothing", spec.environment["OMP_NUM_THREADS"].partition(",")[0]
    words = f"nproc says {said} with {format_cpu(spec.cpu)} CPU"
    if said == expected:
        return ok(words)
    return warn(
        f"{words}, where OMP_NUM_THREADS is {expected}",
        "Programs may start a thread for each core of the machine; the nproc of GNU coreutils goes by that variable.",
    )


def _kernels(found: Sequence[str], label: Sequence[str] | None, image: NamedImage) -> Finding:
    there = f"there are {joined(found)}" if len(found) > 1 else f"there is {found[0]}" if found else "there are none"
    said = {f"the label {KERNELS_LABEL}": label} if label is not None else {}
    if image.entry and image.entry.kernels:
        said["the catalog"] = image.entry.kernels
    wrong = {who: names for who, names in said.items() if set(names) != set(found)}
    if wrong:
        words = joined([f"{who} says {joined(names) or 'none'}" for who, names in wrong.items()])
        return fail(f"{there}, but {words}", f"Correct {joined(list(wrong))}, or the image.")
    if not found:
        return fail(there, "Install one, such as the package ipykernel.")
    if said:
        return ok(f"{there}, as {joined(list(said))} {'say' if len(said) > 1 else 'says'}")
    return ok(f"{there}; the image has no label {KERNELS_LABEL} to compare with")


def _kernel(kernel: KernelRun) -> Finding:
    if kernel.problem:
        return fail(
            f"{kernel.name} does not run: {clipped(kernel.problem)}",
            f"Put it right, or remove it: jupyter kernelspec remove {kernel.name}.",
        )
    did = "runs" if kernel.ran else f"answers (nothing is known to run in {kernel.language or 'its language'})"
    return ok(f"{kernel.name} {did}, {kernel.seconds:.1f} s")
