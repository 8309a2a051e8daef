"""`stateroom schema`: the format of the catalog or of the chart's values, as JSON Schema and as a page for people."""

from __future__ import annotations

import argparse
import json

from stateroom.reference import catalog_schema, reference_page
from stateroom.values import values_page, values_schema

_EXAMPLE = """\
Editors that read JSON Schema complete and check a catalog while it is written. In VS Code, after
`stateroom schema > catalog.schema.json`, write as the catalog's first line:

  # yaml-language-server: $schema=catalog.schema.json

`stateroom schema --values` prints the schema that the Helm chart carries, for a file of its values.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `schema`."""
    parser = commands.add_parser(
        "schema",
        help="print the format of the catalog, or of the chart's values, as JSON Schema or as a page",
        description="Print the format of the catalog, or of the Helm chart's values, as JSON Schema.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--values", action="store_true", help="the chart's values instead of the catalog")
    parser.add_argument("--page", action="store_true", help="print it as a page for people, in Markdown")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    schema, page = (values_schema, values_page) if arguments.values else (catalog_schema, reference_page)
    print(page() if arguments.page else json.dumps(schema(), indent=2))
    return 0
