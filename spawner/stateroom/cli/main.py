"""`stateroom`: finds the command, and prints in one sentence why it failed."""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from collections.abc import Sequence

from stateroom.common.errors import CatalogError, StateroomError
from stateroom.common.version import __version__

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

# Each command is a module of this package with a function `describe`, which adds its description and arguments to a
# parser. It is imported only if it is to be run: most import what takes half a second.
_COMMANDS = {
    "up": "start the hub, and all it needs",
    "down": "stop the hub and all servers; homes are kept",
    "user": "add, remove and list the people who may log in",
    "check": "check a catalog file, or the chart's values, with a line number for each fault",
    "explain": "show what a user would be offered, and why",
    "schema": "print the format of the catalog, or of the chart's values, as JSON Schema or as a page",
    "images": "build, list and check images; bring them to a cluster",
    "doctor": "see what is wrong, and what to do about it",
    "gc": "remove what nobody uses any more; homes are kept",
    "homes": "list the homes, and hand one to another user",
}

_INTERRUPTED = 130  # the exit status that shells use for a command that was ended by Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that `words` (or the command line) names, and return the exit status."""
    words = sys.argv[1:] if words is None else words
    arguments = parser(words).parse_args(words)
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


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser that knows the names of all commands, and the arguments of those that are among `words`."""
    root = argparse.ArgumentParser(
        prog="stateroom",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"stateroom {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, line in _COMMANDS.items():
        command = commands.add_parser(name, help=line, formatter_class=_Help)
        if name in words:
            importlib.import_module(f"stateroom.cli.{name}").describe(command)
    return root


class _Help(argparse.HelpFormatter):
    """Wraps a description, and leaves examples as they are written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _failed(sentence: str) -> int:
    from stateroom.cli.screen import print_failure  # noqa: PLC0415 - rich takes a tenth of a second to import

    print_failure(sentence)
    return 1


def _sentence(error: OSError) -> str:
    file = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {file} could not be written. Make room and run the command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{file} cannot be used: {error.strerror}. Run as its owner, or choose another folder with --data."
    return f"{file}: {error.strerror or error}."


if __name__ == "__main__":
    sys.exit(main())
