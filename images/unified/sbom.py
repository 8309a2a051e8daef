"""Write the bill of materials: what Debian and Python have installed, with versions and licences.

The build runs it: `sbom.py ROOT SITE-PACKAGES...`, where ROOT is the image's root. The result is CycloneDX JSON.
"""
# ruff: noqa: INP001, T201 - the build runs it and takes what it prints

import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

LICENCES = LicenseFactory()


def main(root: str, *folders: str) -> None:
    bom = Bom()
    bom.metadata.component = Component(name="stateroom/unified", type=ComponentType.CONTAINER, bom_ref="image")
    bom.components.update(debian(Path(root)))
    bom.components.update(component(found) for found in distributions(path=list(folders)))
    written = JsonV1Dot6(bom).output_as_string(indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        sys.exit(f"The bill of materials is not valid: {error}")
    print(written)


def debian(root: Path):
    status = (root / "var/lib/dpkg/status").read_text()
    for paragraph in status.strip().split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, flags=re.MULTILINE))
        if fields["Status"].endswith(" installed"):
            package, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
            url = PackageURL("deb", "debian", package, version, {"arch": architecture})
            names = sorted(licences_of(root / "usr/share/doc" / package / "copyright"))
            yield Component(
                name=package,
                version=version,
                purl=url,
                bom_ref=str(url),
                licenses=[LICENCES.make_with_name(name) for name in names],
            )


def licences_of(file: Path) -> set[str]:
    """Those of a copyright file in Debian's own format; an older one has prose alone."""
    text = file.read_text(errors="replace") if file.is_file() else ""
    return set(re.findall(r"^License: *(\S.*)$", text, flags=re.MULTILINE)) if text.startswith("Format:") else set()


def component(found: Distribution) -> Component:
    name, version = found.metadata["Name"], found.version
    url = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
    return Component(name=name, version=version, purl=url, bom_ref=str(url), licenses=licences(found))


def licences(found: Distribution):
    if expression := found.metadata.get("License-Expression"):
        return [LICENCES.make_from_string(expression)]
    classifiers = found.metadata.get_all("Classifier") or []
    known = {name.rpartition(" :: ")[2] for name in classifiers if name.startswith("License :: OSI Approved :: ")}
    written = (found.metadata.get("License") or "").strip()
    if not known and written and "\n" not in written:  # else the old field holds the whole text of a licence
        known = {written}
    return [LICENCES.make_with_name(name) for name in sorted(known)]


main(*sys.argv[1:])
