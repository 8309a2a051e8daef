"""`stateroom up`: starts a hub and all it needs. Steps that were completed before are skipped."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from stateroom.cli.arguments import add_data_option
from stateroom.cli.passwords import on_terminal
from stateroom.cli.screen import Screen
from stateroom.common.errors import SetupError
from stateroom.operations.accounts import AccountStore
from stateroom.operations.handed_passwords import text_of, write_passwords
from stateroom.operations.local.accounts import make_first_accounts
from stateroom.operations.local.address import LOOPBACK, SHARED_NAME_RISK, Address, parse_url, require_consistent
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.hub import Hub, clear_way, loading_hub
from stateroom.operations.local.pod_folder import require_no_pod
from stateroom.operations.platforms import BACKENDS

_PORT = 8000
_HIGHEST_PORT = 65535

_EXAMPLES = """\
Notebook servers run on when the hub is stopped with Ctrl-C; the next `stateroom up` finds them again.

examples:
  stateroom up
  stateroom up --port 8080 --data ~/hub
  stateroom up --catalog catalog.yaml
  stateroom up --url https://hub.example.org --bind 0.0.0.0 --port 443 --tls-cert hub.pem --tls-key hub.key
  KUBECONFIG=~/cluster.yaml stateroom up --backend kubernetes
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = (
        "Start the hub and all it needs: the proxy, Docker, the notebook image, the first accounts. "
        "With `--backend kubernetes`, servers are pods of the cluster that KUBECONFIG names, and nothing of Docker "
        "is needed."
    )
    parser.epilog = _EXAMPLES
    add_data_option(parser)
    parser.add_argument("--port", type=_port, default=_PORT, help=f"the port ({_PORT})")
    parser.add_argument("--url", type=_url, help="the hub's URL for browsers (http://hub.localhost:PORT)")
    parser.add_argument(
        "--bind", type=_address, default=LOOPBACK, metavar="ADDRESS", help=f"where to listen ({LOOPBACK})"
    )
    parser.add_argument("--tls-cert", type=_file, metavar="FILE", help="the certificate, in PEM format")
    parser.add_argument("--tls-key", type=_file, metavar="FILE", help="the certificate's key")
    parser.add_argument(
        "--one-host-name",
        action="store_true",
        help="have all users' servers under one host name: a page of one can then act as whoever opens it",
    )
    parser.add_argument("--catalog", type=Path, metavar="FILE", help="the catalog (catalog.yaml in the data folder)")
    parser.add_argument("--backend", choices=BACKENDS, help="where servers run (as in the last run, at first docker)")
    parser.add_argument(
        "--hub-ip",
        type=_hub_ip,
        metavar="ADDRESS",
        help="the address of this machine that pods reach (the one on the way to the cluster's nodes)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start the hub, and stay until it is stopped."""
    require_no_pod("Write what is to change into the chart's values, and run `helm upgrade`.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    address = Address(
        arguments.port,
        arguments.url or "",
        arguments.bind,
        arguments.tls_cert or "",
        arguments.tls_key or "",
        host_names=not arguments.one_host_name,
    )
    require_consistent(address)
    screen, data = Screen(), arguments.data
    data.make()
    with data.held():
        clear_way(address, data, screen)
        with loading_hub(data) as hub:
            # Imported while the hub imports its own: each takes a tenth of a start.
            from stateroom.operations.up import HubOptions, prepare  # noqa: PLC0415

            options = HubOptions(address, arguments.catalog, arguments.backend or "", arguments.hub_ip or "")
            settings = prepare(options, data, screen)
            try:
                hub.begin(settings.local_url)
                _wait_until_it_answers(hub, screen)
                _welcome(settings, data, screen)
                hub.wait()
            except KeyboardInterrupt:
                hub.end()
                _farewell(data, screen)
    return 0


def _wait_until_it_answers(hub: Hub, screen: Screen) -> None:
    with screen.step("Hub", "Starting the hub") as step:
        hub.wait_until_it_answers()
        step.result = "answers"


def _welcome(settings: Settings, data: DataFolder, screen: Screen) -> None:
    """Print where everything is; on the first run, with the accounts."""
    screen.gap()
    screen.line("Stateroom", settings.url)
    _host_names(settings, screen)
    _accounts(data, screen)
    screen.line("Sizes", f"are in {settings.catalog}; a saved change counts at once")
    screen.line("Users", f"{command()} user add NAME{data.option}")
    screen.line("Stop", "Ctrl-C stops the hub and leaves servers running; the next run finds them again")
    screen.more(f"{command()} down{data.option} stops all; homes are kept")


def _host_names(settings: Settings, screen: Screen) -> None:
    name = urlsplit(settings.url).hostname
    if not settings.host_names:
        screen.more("All users' servers share this host name:")
        screen.more(f"{SHARED_NAME_RISK}.")
        screen.more("Without --one-host-name each user's servers have a name of their own.")
    elif name and not name.endswith(".localhost"):
        screen.more(f"*.{name} must lead here too: each user's servers have a host name of their own")


def _accounts(data: DataFolder, screen: Screen) -> None:
    """Print who may log in. On the first run, make the first accounts and hand over their passwords."""
    store = AccountStore(data.accounts)
    if data.accounts.exists():
        screen.line("Accounts", ", ".join(store.accounts()) or "none yet")
    elif data.own_configuration.exists():
        screen.line("Accounts", f"none were made, since {data.own_configuration} may bring a login of its own")
    else:
        make_first_accounts(store, lambda passwords: _hand_over(passwords, data, screen))


def _hand_over(passwords: Mapping[str, str], data: DataFolder, screen: Screen) -> None:
    if on_terminal():
        screen.line("Accounts", "with their passwords, which are shown this once:")
        for line in text_of(passwords).splitlines():
            screen.more(line)
    else:
        data.first_passwords.unlink(missing_ok=True)
        write_passwords(passwords, data.first_passwords)
        screen.line("Accounts", f"{', '.join(passwords)}; their passwords are in {data.first_passwords}")
        screen.more("until each has logged in once")


def _farewell(data: DataFolder, screen: Screen) -> None:
    screen.gap()
    screen.line("Stopped", f"hub and proxy; servers run on ({command()} down{data.option} stops them)")


def command() -> str:
    """Return how to call this command line from here: by its name, or by its path if the name is not found."""
    found, called = shutil.which("stateroom"), Path(sys.argv[0])
    if called.name != "stateroom" or (found and Path(found).resolve() == called.resolve()):
        return "stateroom"
    here = Path.cwd()
    # Neither from the root nor from its own folder, where a bare name would not be found.
    return shlex.quote(str(called.relative_to(here) if here in called.parents[1:-1] else called))


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= _HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port; write a number from 1 to {_HIGHEST_PORT}")


def _url(text: str) -> str:
    try:
        return parse_url(text)
    except SetupError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; write one of this machine's") from None


def _file(text: str) -> str:
    return str(Path(text).expanduser().absolute())


def _hub_ip(text: str) -> str:
    address = ip_address(_address(text))
    if address.is_unspecified or address.is_loopback:
        what = "opens the hub to every network" if address.is_unspecified else "leads every pod to itself"
        raise argparse.ArgumentTypeError(f"{text} {what}; name the address of this machine that pods reach")
    return str(address)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
