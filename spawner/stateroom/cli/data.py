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

from stateroom.cli.database import Records, read_records
from stateroom.errors import SetupError
from stateroom.files import open_private, replace_file
from stateroom.hub_id import known_hub_id


@dataclass(frozen=True, slots=True)
class Settings:
    """What `up` hands to the hub, and `down` and the next `up` need to know."""

    hub_id: str
    backend: str
    catalog: str
    homes: str  # the host folder of the homes, or the claim that they share; "" where each has a volume or claim
    port: int
    hub_port: int  # kept, since running servers remember it
    proxy_port: int
    proxy_command: tuple[str, ...]
    # Of a cluster; all "" on Docker.
    hub_ip: str = ""  # where the hub listens for pods
    kubeconfig: str = ""
    namespace: str = ""
    cluster: str = ""  # the address of its API

    @property
    def where(self) -> str:
        """The place that servers and homes are in."""
        return f"the namespace {self.namespace} of {self.cluster}" if self.backend == "kubernetes" else "Docker"

    @property
    def url(self) -> str:
        """Where the hub is for a browser."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder, by the names of what is in it."""

    path: Path

    @property
    def default_backend(self) -> str:
        """Where servers of a hub run that was never started."""
        return "docker"

    @property
    def catalog(self) -> Path:
        """The catalog of a hub that was given no other."""
        return self.path / "catalog.yaml"

    @property
    def accounts(self) -> Path:
        """Names and password hashes."""
        return self.path / "accounts.json"

    @property
    def first_passwords(self) -> Path:
        """The passwords of the first accounts, where there was no terminal to show them on."""
        return self.path / "first-passwords.txt"

    @property
    def database(self) -> Path:
        """The hub's own."""
        return self.path / "jupyterhub.sqlite"

    @property
    def has_database(self) -> bool:
        """Whether a hub has run yet."""
        return self.database.exists()

    @property
    def programs(self) -> Path:
        """What was installed for the hub alone."""
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
        """What a command needs to be given to use this folder: nothing for the default one."""
        return "" if self.path == default_path() else f" --data {shlex.quote(str(self.path))}"

    def make(self) -> None:
        """Make the folder. Raises SetupError for one that others may write to."""
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
        """Hold the folder against any other `up` and `down`. Raises SetupError if one has it."""
        with open_private(self._lock_file, "a+") as file:
            if not _locked(file):
                raise SetupError(self._is_running())
            file.truncate(0)
            # A full disk must not keep `down` from its work.
            with suppress(OSError):
                os.write(file.fileno(), str(os.getpid()).encode())
            yield

    def holder(self) -> int | None:
        """The process that holds the folder, None if none does."""
        with open_private(self._lock_file, "a+") as file:
            if _locked(file):
                return None
            file.seek(0)
            holder = file.read()
            return int(holder) if holder.isdecimal() else 0

    def runs(self) -> bool:
        """Whether the hub runs."""
        return self.path.is_dir() and self.holder() is not None

    @contextmanager
    def kept_as_it_is(self) -> Iterator[bool]:
        """Whether the hub runs. While it does not, it is not started either."""
        if self.holder() is not None:
            yield True
            return
        with self.held():
            yield False

    def records(self) -> Records:
        """What the hub's database says now. Raises SetupError where it says nothing."""
        return read_records(self.database)

    def known_hub_id(self) -> str:
        """The id that the hub has where its catalog gives none, "" if none was made yet. Raises CatalogError."""
        return known_hub_id(self.path)

    def settings(self) -> Settings | None:
        """Those of the last `up`, None if there was none."""
        try:
            data: dict[str, Any] = json.loads(self._settings_file.read_bytes())
            return Settings(**{**data, "proxy_command": tuple(data["proxy_command"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise SetupError(f"{self._settings_file} is damaged. Remove it and run `stateroom up` again.") from None

    def known_settings(self) -> Settings:
        """Those of the last `up`. Raises SetupError if there was none."""
        settings = self.settings()
        if settings is None:
            raise SetupError(f"No hub was ever started from {self.path}. Name the hub's folder with --data.")
        return settings

    def keep(self, settings: Settings) -> None:
        """Remember the settings."""
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
    """Where data is kept unless an option says otherwise."""
    return platformdirs.user_data_path("stateroom", appauthor=False)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
