"""`stateroom`: finds the command, and says in one sentence why it could not do its work."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

import stateroom
from stateroom.cli import check, doctor, down, explain, gc, homes, images, schema, up, user
from stateroom.errors import CatalogError, StateroomError

_DESCRIPTION = "Personal notebook servers for JupyterHub, from one catalog file."
_EXAMPLES = """\
examples:
  stateroom up                     start the hub on http://127.0.0.1:8000
  stateroom user add ada           let ada log in
  stateroom check catalog.yaml     see whether a catalog holds
  stateroom explain catalog.yaml --user ada --groups research
                                   see what ada would be offered, and why
  stateroom doctor                 see what is wrong, and what to do about it
  stateroom down                   stop the hub and all servers; homes are kept

`stateroom COMMAND --help` tells more about a command.
"""

_INTERRUPTED = 130  # what a shell says of a command that ended by Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that `words` (or the command line) names; the exit status."""
    arguments = parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except CatalogError as error:
        return _failed("The catalog does not hold.\n" + "\n".join(error.problems))
    except StateroomError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(_sentence(error))
    except KeyboardInterrupt:
        return _INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    root = argparse.ArgumentParser(
        prog="stateroom",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"stateroom {stateroom.__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in (up, down, user, check, explain, schema, images, doctor, gc, homes):
        command.add_parser(commands)
    return root


def _failed(sentence: str) -> int:
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("stateroom: ", "bold red"), sentence), highlight=False)
    return 1


def _sentence(error: OSError) -> str:
    place = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {place} could not be written. Make room and run the command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{place} cannot be used: {error.strerror}. Run as its owner, or choose another folder with --data."
    return f"{place}: {error.strerror or error}."


if __name__ == "__main__":
    sys.exit(main())
