"""`stateroom schema`: the catalog's format, for editors as JSON Schema and for people as a page."""

from __future__ import annotations

import argparse
import json

from stateroom.reference import catalog_schema, reference_page

_EXAMPLE = """\
Editors that read JSON Schema complete and check a catalog while it is written. In VS Code, after
`stateroom schema > catalog.schema.json`, write as the catalog's first line:

  # yaml-language-server: $schema=catalog.schema.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `schema`."""
    parser = commands.add_parser(
        "schema",
        help="print the catalog's format, as JSON Schema or as a page",
        description="Print the format of the catalog as JSON Schema.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--page", action="store_true", help="print it as a page for people, in Markdown")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    print(reference_page() if arguments.page else json.dumps(catalog_schema(), indent=2))
    return 0
