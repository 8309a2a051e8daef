"""`stateroom up`: from nothing to a hub that answers, in steps that are skipped when done before."""

from __future__ import annotations

import argparse
import secrets
import shlex
import shutil
import signal
import sys
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

from stateroom.accounts import AccountStore, new_password
from stateroom.catalog import Catalog
from stateroom.cli.arguments import add_data_option, shipped_catalog
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.hub import Hub, end_leftovers, is_free, running_hub
from stateroom.cli.passwords import on_terminal, text_of, write_passwords
from stateroom.cli.places import BACKENDS, place
from stateroom.cli.pod import require_no_pod
from stateroom.cli.proxy import install_proxy
from stateroom.cli.screen import Screen
from stateroom.errors import SetupError
from stateroom.files import open_private
from stateroom.hub_id import stored_hub_id
from stateroom.loading import load_catalog
from stateroom.quantity import MiB, format_memory

_PORT = 8000
_FIRST_ACCOUNTS = {"admin": True, "user": False}  # name -> whether an admin
_HIGHEST_PORT = 65535
_LEAST_ROOM = 50 * MiB  # the proxy takes 9, database and logs grow

# Below the ports that the kernel gives to outgoing connections, so that a kept one stays free.
_INNER_PORTS = range(20_000, 32_000)

_EXAMPLES = """\
Notebook servers run on when the hub is stopped with Ctrl-C; the next `stateroom up` finds them again.

examples:
  stateroom up
  stateroom up --port 8080 --data ~/hub
  stateroom up --catalog catalog.yaml
  KUBECONFIG=~/cluster.yaml stateroom up --backend kubernetes
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `up`."""
    parser = commands.add_parser(
        "up",
        help="start the hub, and all it needs",
        description="Start the hub and all it needs: the proxy, Docker, the notebook image, the first accounts. "
        "With `--backend kubernetes`, servers are pods of the cluster that KUBECONFIG names, and nothing of Docker "
        "is needed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_option(parser)
    parser.add_argument("--port", type=_port, default=_PORT, help=f"the port on 127.0.0.1 ({_PORT})")
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
    """Bring the hub up, and stay until it is stopped."""
    require_no_pod("Write what is to change into the chart's values, and run `helm upgrade`.")
    _require_linux()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    screen, data = Screen(), arguments.data
    data.make()
    with data.held():
        settings = _prepare(arguments, data, screen)
        try:
            with running_hub(data, settings.port) as hub:
                _wait_until_it_answers(hub, screen)
                _welcome(settings, data, screen)
                hub.wait()
        except KeyboardInterrupt:
            _farewell(data, screen)
    return 0


def _prepare(arguments: argparse.Namespace, data: DataFolder, screen: Screen) -> Settings:
    """Do all that comes before the hub; the quick checks first."""
    _end_leftovers(data, screen)
    _require_free(arguments.port)
    _require_room(data)
    path, catalog = _catalog(arguments.catalog, data, screen)
    proxy = install_proxy(data, screen)
    last = data.settings()
    backend = arguments.backend or (last.backend if last else data.default_backend)
    settings = Settings(
        hub_id=catalog.hub or stored_hub_id(data.path),
        backend=backend,
        catalog=str(path),
        homes="",
        port=arguments.port,
        hub_port=_hub_port(data, screen),
        proxy_port=_free_port(),
        proxy_command=proxy,
        hub_ip=arguments.hub_ip or "",
    )
    settings = place(backend).prepare(settings, catalog, data, screen)
    if last and last.where != settings.where:
        screen.line("Servers", f"were on {last.where} until now: this hub neither finds nor stops what runs there,")
        screen.more("and homes stay there; they are back once it is started with that place again")
    return settings


def _end_leftovers(data: DataFolder, screen: Screen) -> None:
    if end_leftovers(data):
        screen.line("Hub", "ended what an interrupted run had left")


def _require_linux() -> None:
    if sys.platform != "linux":
        raise SetupError("`stateroom up` runs on Linux. Elsewhere, run it in a virtual machine with Docker.")


def _require_free(port: int) -> None:
    if not is_free(port):
        raise SetupError(f"Port {port} is taken by another program. Choose another with --port.")


def _require_room(data: DataFolder) -> None:
    # JupyterHub's own words for a database that it could not write are about upgrades.
    if shutil.disk_usage(data.path).free < _LEAST_ROOM:
        raise SetupError(
            f"The disk of {data.path} is full: {format_memory(_LEAST_ROOM)} must be free. "
            "Make room, or choose another folder with --data."
        )


def _catalog(chosen: Path | None, data: DataFolder, screen: Screen) -> tuple[Path, Catalog]:
    """The catalog's file and content; on the first run the file is a copy of ours, for the admin to change."""
    path = chosen.expanduser().absolute() if chosen else data.catalog
    if not chosen and not path.exists():
        with open_private(path, "xb") as file:
            file.write(shipped_catalog().read_bytes())
    catalog = load_catalog(path)
    screen.line("Catalog", str(path))
    return path, catalog


def _hub_port(data: DataFolder, screen: Screen) -> int:
    """The port that running servers know the hub by, chosen once."""
    last = data.settings()
    if last and is_free(last.hub_port, ""):
        return last.hub_port
    if last:
        screen.line("Hub", f"port {last.hub_port} is taken; servers that run must be stopped and started once")
    return _free_port()


def _free_port() -> int:
    while not is_free(port := secrets.choice(_INNER_PORTS), ""):
        pass
    return port


def _wait_until_it_answers(hub: Hub, screen: Screen) -> None:
    with screen.step("Hub", "Starting the hub") as step:
        hub.wait_until_it_answers()
        step.result = "answers"


def _welcome(settings: Settings, data: DataFolder, screen: Screen) -> None:
    """Say where everything is; on the first run, with the accounts."""
    screen.gap()
    screen.line("Stateroom", settings.url)
    _accounts(data, screen)
    screen.line("Sizes", f"are in {settings.catalog}; a saved change counts at once")
    screen.line("Users", f"{command()} user add NAME{data.option}")
    screen.line("Stop", "Ctrl-C stops the hub and leaves servers running; the next run finds them again")
    screen.more(f"{command()} down{data.option} stops all; homes are kept")


def _accounts(data: DataFolder, screen: Screen) -> None:
    """Make the first accounts and hand over their passwords, the one time that they are known.

    They are handed over before they are kept: an interruption in between makes new ones next time.
    """
    store = AccountStore(data.accounts)
    if data.accounts.exists():
        screen.line("Accounts", ", ".join(store.accounts()) or "none yet")
        return
    passwords = {name: new_password() for name in _FIRST_ACCOUNTS}
    if on_terminal():
        screen.line("Accounts", "with their passwords, which are shown this once:")
        for line in text_of(passwords).splitlines():
            screen.more(line)
    else:
        data.first_passwords.unlink(missing_ok=True)
        write_passwords(passwords, data.first_passwords)
        screen.line("Accounts", f"{', '.join(passwords)}; their passwords are in {data.first_passwords}")
    for name, admin in _FIRST_ACCOUNTS.items():
        store.add(name, passwords[name], admin=admin)


def _farewell(data: DataFolder, screen: Screen) -> None:
    screen.gap()
    screen.line("Stopped", f"hub and proxy; servers run on ({command()} down{data.option} stops them)")


def command() -> str:
    """How this command line is called from here: by its name, or by its place where the name is not found."""
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


def _hub_ip(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; write one of this machine's") from None
    if address.is_unspecified or address.is_loopback:
        what = "opens the hub to every network" if address.is_unspecified else "leads every pod to itself"
        raise argparse.ArgumentTypeError(f"{text} {what}; name the address of this machine that pods reach")
    return str(address)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
