"""Complete a bill of materials by the image's name and Spark's jars: `jars.py NAME FOLDER < BILL`.

The build runs it. A jar's own words tell its group, as far as it has any; its
file's name tells the rest.
"""
# ruff: noqa: INP001, T201 - the build runs it and takes what it prints

import json
import re
import sys
from pathlib import Path
from zipfile import ZipFile

NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d.*)\.jar")


def main(image: str, folder: str) -> None:
    bill = json.load(sys.stdin)
    bill["metadata"]["component"]["name"] = image
    bill["components"] += [component(jar) for jar in sorted(Path(folder).glob("*.jar"))]
    print(json.dumps(bill, indent=1))


def component(jar: Path) -> dict[str, str]:
    found = NAME.fullmatch(jar.name)
    name, version = (found["name"], found["version"]) if found else (jar.stem, "")
    group = group_of(jar, name)
    url = f"pkg:maven/{group}/{name}@{version}" if group else f"pkg:generic/{name}@{version}"
    known = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
    return known | ({"group": group} if group else {})


def group_of(jar: Path, name: str) -> str:
    """A jar may hold others; the group is that of the one with its name."""
    with ZipFile(jar) as content:
        groups = [path.split("/")[2] for path in content.namelist() if path.endswith(f"/{name}/pom.properties")]
    return groups[0] if groups else ""


main(*sys.argv[1:])
