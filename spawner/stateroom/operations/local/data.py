"""The folder in which `stateroom up` keeps everything that outlives it."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import platformdirs

from stateroom.common.errors import SetupError
from stateroom.common.files import open_private, replace_file
from stateroom.operations.handed_passwords import FIRST
from stateroom.operations.local.address import LOOPBACK
from stateroom.operations.local.records import Records
from stateroom.runtime.hub_id import known_hub_id


@dataclass(frozen=True, slots=True)
class Settings:
    """What `up` passes to the hub, `down` and the next `up`."""

    hub_id: str
    backend: str
    catalog: str
    homes: str  # the host folder of the homes, or the claim that they share; "" where each has a volume or claim
    port: int
    hub_port: int  # kept, since running servers remember it
    proxy_port: int
    proxy_command: tuple[str, ...]
    # Of a cluster, and "" on Docker, but for the last one.
    hub_ip: str = ""  # where the hub listens for pods
    kubeconfig: str = ""
    namespace: str = ""
    cluster: str = ""  # the address of its API
    network: str = ""  # on Docker: the one at whose gateway the hub listens since its start
    # How browsers reach it.
    public_url: str = ""  # "" in the settings of before 0.1.0
    bind: str = LOOPBACK  # where the proxy listens
    tls_cert: str = ""  # the proxy's certificate and key, "" where it has none
    tls_key: str = ""
    host_names: bool = False  # whether each user's servers have a host name of their own

    @property
    def where(self) -> str:
        """The platform that has the servers and homes, in words."""
        return f"the namespace {self.namespace} of {self.cluster}" if self.backend == "kubernetes" else "Docker"

    @property
    def url(self) -> str:
        """The hub's URL for a browser, without a path."""
        return self.public_url or f"http://{LOOPBACK}:{self.port}"

    @property
    def proxy_url(self) -> str:
        """Where the proxy listens."""
        return self._at(self.bind)

    @property
    def local_url(self) -> str:
        """Where this machine itself reaches the proxy."""
        return self._at({"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.bind, self.bind))  # noqa: S104 - it is looked up

    def _at(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder and the names of the files in it."""

    path: Path

    @property
    def default_backend(self) -> str:
        """The backend of a hub that was never started."""
        return "docker"

    @property
    def catalog(self) -> Path:
        """The catalog that the hub uses unless it is given another."""
        return self.path / "catalog.yaml"

    @property
    def own_configuration(self) -> Path:
        """The admin's own lines of the hub's configuration, which come after ours."""
        return self.path / "jupyterhub_config.py"

    @property
    def accounts(self) -> Path:
        """Names and password hashes."""
        return self.path / "accounts.json"

    @property
    def first_passwords(self) -> Path:
        """The passwords of the first accounts, where there was no terminal to show them on."""
        return self.path / FIRST

    @property
    def database(self) -> Path:
        """The hub's database."""
        return self.path / "jupyterhub.sqlite"

    @property
    def has_database(self) -> bool:
        """Whether a hub has run yet."""
        return self.database.exists()

    @property
    def programs(self) -> Path:
        """The programs that were installed for this hub."""
        return self.path / "programs"

    @property
    def proxy_pid(self) -> Path:
        """Written and read by the hub."""
        return self.path / "proxy.pid"

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.path / "log"

    @property
    def option(self) -> str:
        """The option that makes a command use this folder; "" for the default folder."""
        return "" if self.path == default_path() else f" --data {shlex.quote(str(self.path))}"

    def make(self) -> None:
        """Create the folder. Raises SetupError if others may write to it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            raise SetupError(
                f"The folder {self.path} cannot be made: {error.strerror}. Choose another with --data."
            ) from error
        status = self.path.stat()
        if status.st_mode & stat.S_IWOTH or status.st_uid not in (0, os.geteuid()):
            raise SetupError(
                f"The folder {self.path} belongs to another user, or everybody may write to it. "
                "Passwords would not be safe there; choose another with --data."
            )
        self.logs.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against any other `up` and `down`. Raises SetupError if one has locked it."""
        with open_private(self._lock_file, "a+") as file:
            if not _locked(file):
                raise SetupError(self._is_running())
            file.truncate(0)
            # A full disk must not keep `down` from its work.
            with suppress(OSError):
                os.write(file.fileno(), str(os.getpid()).encode())
            yield

    def holder(self) -> int | None:
        """Return the process that has locked the folder, or None."""
        with open_private(self._lock_file, "a+") as file:
            if _locked(file):
                return None
            file.seek(0)
            holder = file.read()
            return int(holder) if holder.isdecimal() else 0

    def runs(self) -> bool:
        """Return whether the hub runs."""
        return self.path.is_dir() and self.holder() is not None

    @contextmanager
    def kept_as_it_is(self) -> Iterator[bool]:
        """Yield whether the hub runs. If it does not, it cannot be started while the body runs."""
        if self.holder() is not None:
            yield True
            return
        with self.held():
            yield False

    def records(self) -> Records:
        """Read the hub's database. Raises SetupError if it cannot be read."""
        from stateroom.operations.local.database import read_records  # noqa: PLC0415 - see there

        return read_records(self.database)

    def known_hub_id(self) -> str:
        """Return the hub's ID unless its catalog sets one; "" if it has none yet. Raises CatalogError."""
        return known_hub_id(self.path)

    def settings(self) -> Settings | None:
        """Return the settings of the last `up`, or None if there was none."""
        try:
            data: dict[str, Any] = json.loads(self._settings_file.read_bytes())
            return Settings(**{**data, "proxy_command": tuple(data["proxy_command"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise SetupError(f"{self._settings_file} is damaged. Remove it and run `stateroom up` again.") from None

    def known_settings(self) -> Settings:
        """Return the settings of the last `up`. Raises SetupError if there was none."""
        settings = self.settings()
        if settings is None:
            raise SetupError(f"No hub was ever started from {self.path}. Name the hub's folder with --data.")
        return settings

    def keep(self, settings: Settings) -> None:
        """Store the settings."""
        replace_file(self._settings_file, json.dumps(asdict(settings), indent=2) + "\n")

    @property
    def _lock_file(self) -> Path:
        return self.path / "up.lock"

    @property
    def _settings_file(self) -> Path:
        return self.path / "settings.json"

    def _is_running(self) -> str:
        settings = self.settings()
        place = f" at {settings.url}" if settings else ""
        return f"The hub of {self.path} is already running{place}. `stateroom down{self.option}` stops it."


def default_path() -> Path:
    """Return the default data folder."""
    return platformdirs.user_data_path("stateroom", appauthor=False)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
