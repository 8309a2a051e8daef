"""`stateroom schema`: prints the format of the catalog or of the chart's values, as JSON Schema or as a page."""

from __future__ import annotations

import argparse
import json

from stateroom.operations.file_formats import CATALOG, CHART_VALUES

_EXAMPLE = """\
Editors that read JSON Schema complete and check a catalog while it is written. In VS Code, after
`stateroom schema > catalog.schema.json`, write as the catalog's first line:

  # yaml-language-server: $schema=catalog.schema.json

`stateroom schema --values` prints the schema that the Helm chart carries, for a file of its values.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Print the format of the catalog, or of the Helm chart's values, as JSON Schema."
    parser.epilog = _EXAMPLE
    parser.add_argument("--values", action="store_true", help="the chart's values instead of the catalog")
    parser.add_argument("--page", action="store_true", help="print it as a page for people, in Markdown")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the format."""
    chosen = CHART_VALUES if arguments.values else CATALOG
    print(chosen.page() if arguments.page else json.dumps(chosen.schema(), indent=2))
    return 0
