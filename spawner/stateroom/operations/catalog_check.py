"""Checks a catalog file, a file of the chart's values, or both together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.consistency import Fault
from stateroom.catalog.load import load_catalog
from stateroom.common.errors import CatalogError, CatalogFault, SetupError
from stateroom.common.text import counted, joined


@dataclass(frozen=True, slots=True)
class CheckedFiles:
    """The faults that were found, hints on the chart's values, and a sentence on what the files contain."""

    faults: Sequence[CatalogFault]
    hints: Sequence[str] = ()
    summary: str = ""  # if there are no faults


def check_files(catalog_file: Path | None, values_file: Path | None) -> CheckedFiles:
    """Check the files that are given. Raises SetupError if neither is, or if one cannot be read."""
    if values_file:
        return _check_values(values_file, catalog_file)
    if catalog_file is None:
        raise SetupError("Name a catalog, or a file of the chart's values with --values FILE.")
    catalog, faults = _load(catalog_file)
    return CheckedFiles(faults, summary=f"{catalog_file} holds: {_contents(catalog)}." if catalog else "")


def _check_values(values_file: Path, catalog_file: Path | None) -> CheckedFiles:
    # Imported here: the schema's validator takes most of a second to import, which few commands need.
    from stateroom.operations.chart_values.chart import chart_catalog  # noqa: PLC0415
    from stateroom.operations.chart_values.read import read_values_file  # noqa: PLC0415

    values = read_values_file(values_file, _pod_faults, with_catalog=catalog_file is None)
    catalog, catalog_faults = _load(catalog_file) if catalog_file else (values.catalog, ())
    faults = [*values.faults, *catalog_faults]
    if faults:
        return CheckedFiles(faults, values.hints)
    its = f", with {catalog_file}" if catalog_file else "" if catalog else ", with the chart's own catalog"
    return CheckedFiles((), values.hints, f"{values_file} holds{its}: {_contents(catalog or chart_catalog())}.")


def _load(path: Path) -> tuple[Catalog | None, Sequence[CatalogFault]]:
    try:
        return load_catalog(path, _pod_faults), ()
    except CatalogError as error:
        return None, error.faults


def _pod_faults(catalog: Catalog) -> Iterable[Fault]:
    if not catalog.kubernetes.pod:
        return ()
    from stateroom.backends.kubernetes.manifests import pod_faults  # noqa: PLC0415 - a second, which few catalogs need

    return pod_faults(catalog)


def _contents(catalog: Catalog) -> str:
    sections = {
        "image": catalog.images,
        "size": catalog.sizes,
        "group": catalog.groups,
        "user": catalog.users,
    }
    return joined([counted(len(entries), noun) for noun, entries in sections.items() if entries])
