"""Keeps the networks of a hub's servers as the hub needs them, for as long as it runs.

Whoever uses the engine or the machine's packet filter can remove what the hub
made at its start: with `docker network prune`, or by reloading a firewall. After
each change of a network, and at intervals, this brings it back: the networks
with their addresses, the hub's container and the servers on them, the packet
rules. An edited catalog may name further networks. A server is started on a
network only while all of this is known to be so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from stateroom.backends.docker.engine import connect, or_none, translated
from stateroom.backends.docker.network import HubPlace, hub_place
from stateroom.backends.docker.packet_filter import Gap, isolate, missing_isolation, writes_directly
from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import BackendError, BackendUnavailable, EngineRefused, NetworkUnready
from stateroom.common.files import replace_file
from stateroom.common.labels import HUB

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_COSTLY_LOOK_SECONDS = 600.0  # where looking at the packet filter takes a container
_PAUSE_SECONDS = 1.0  # after an event or a failure: many come at once
_LOSSES = ("destroy", "remove", "disconnect")  # the events after which a network may lack something
_ENDING_TIMEOUT_SECONDS = 5.0

_KEPT = ("Driver", "Options", "IPAM", "Internal", "Labels", "EnableIPv6")  # what it takes to make a network again

KINDS_OF_REPAIR = ("network", "rules", "server")


def networks_file(data: Path) -> Path:
    """Where their addresses are kept in a hub's data folder."""
    return data / "networks.json"


class NetworkKeeper:
    """The networks of one hub's servers. `port` is the hub's, where servers reach it.

    `record` is a file that keeps their addresses for the next process: servers that run know the hub by its own.
    """

    def __init__(self, hub: str, catalog: Callable[[], Catalog], port: int, record: Path | None = None) -> None:
        self.repairs: Counter[str] = Counter()  # of networks, rules and servers, since the hub's start
        self.on_rejoin: Callable[[str], None] = lambda _: None  # with each container that was put back, in a thread
        self._hub = hub
        self._catalog = catalog
        self._port = port
        self._record = record
        self._place: HubPlace | None = None
        self._accepted: frozenset[Gap] = frozenset()  # what was open when the hub started, and was reported then
        self._described: dict[str, Mapping[str, Any]] = {}  # each network, as the engine described it when it was whole
        self._recorded = ""
        self._whole: frozenset[str] = frozenset()  # the networks that lack nothing
        self._trouble = ""  # why one does
        self._disconnected: set[str] = set()  # containers that were on one, by their ids
        self._one_at_a_time = threading.Lock()
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._events: Any = None
        self._threads: list[threading.Thread] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, as far as is known."""
        return bool(self._whole)

    def make(self) -> tuple[HubPlace, list[Gap]]:
        """Make the networks and their rules; where the hub is to listen, and what stays open. Blocks.

        Raises BackendError.
        """
        with translated(), closing(connect()) as client:
            self._make_recorded(client)
            place = hub_place(client, self._catalog(), self._hub, self._port)
            gaps = isolate(client, place.servers, place.images)
            self._place, self._accepted = place, frozenset(gaps)
            self._remember(client, place)
        return place, gaps

    def begin(self) -> None:
        """Keep them from now on, in threads, until `close`."""
        for name, work in (("docker-networks", self._keep), ("docker-network-events", self._follow)):
            self._threads.append(threading.Thread(target=work, name=name, daemon=True))
            self._threads[-1].start()

    async def require(self, network: str) -> None:
        """Return if a server may be started on a network.

        Raises NetworkUnready with what the network lacks, and BackendUnavailable.
        """
        if network not in self._whole:
            await asyncio.to_thread(self._bring_back, network)
        if network not in self._whole:
            raise NetworkUnready(self._trouble or f'The network "{network}" is not ready for servers. Start again.')

    async def close(self) -> None:
        """End the threads. Networks and rules stay."""
        self._closed.set()
        self._changed.set()
        if self._events is not None:
            with contextlib.suppress(OSError, AttributeError):  # the SDK's own, on a stream that has ended
                self._events.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, _ENDING_TIMEOUT_SECONDS)

    # On the threads

    def _keep(self) -> None:
        pause = _LOOK_SECONDS
        while not self._closed.is_set():
            self._changed.wait(pause)
            if self._closed.wait(_PAUSE_SECONDS if self._whole else 0):
                return
            pause = _LOOK_SECONDS
            try:
                pause = self._bring_back()
            except BackendUnavailable as error:  # the watch of containers reports it
                log.debug("The servers' networks cannot be looked at: %s", error.detail or error)
            except Exception:  # whatever is found once, the next look follows
                log.exception("The servers' networks could not be looked at.")

    def _follow(self) -> None:
        while not self._closed.is_set():
            try:
                with translated(), closing(connect()) as client:
                    self._events = client.events(decode=True, filters={"type": "network", "event": list(_LOSSES)})
                    self._disconnected |= self._servers(client)  # what happened before is not known
                    self._changed.set()
                    for event in self._events:
                        self._take(event)
            except BackendError as error:
                log.debug("The engine's events of networks broke off: %s", error.detail or error)
            self._closed.wait(_PAUSE_SECONDS)

    def _take(self, event: Mapping[str, Any]) -> None:
        facts = event.get("Actor", {}).get("Attributes", {})
        if facts.get("name") not in self._described:
            return
        if event.get("Action") == "disconnect":  # as a server's usual end does
            self._disconnected.add(facts.get("container", ""))
        else:
            self._whole = frozenset()
        self._changed.set()

    def _bring_back(self, needed: str = "") -> float:
        """Bring back what is missing; the seconds until the next look. What cannot be had is logged once.

        Does nothing if the network that is needed is whole by now. Raises BackendUnavailable.
        """
        with self._one_at_a_time:
            if needed in self._whole:
                return _LOOK_SECONDS
            self._changed.clear()
            try:
                with translated(), closing(connect()) as client:
                    place = self._restored(client)
                    trouble = self._closed_gaps(client, place)
                    self._rejoin_servers(client, place)
                    self._remember(client, place)
                    seconds = _LOOK_SECONDS if writes_directly(client) else _COSTLY_LOOK_SECONDS
            except BackendUnavailable:
                raise
            except BackendError as error:
                trouble, seconds = str(error), _LOOK_SECONDS
            if trouble:
                self._whole = frozenset()
                if trouble != self._trouble:
                    log.error("No server is started on the servers' networks: %s", trouble)
            elif self._trouble:
                log.warning("The servers' networks are whole again.")
            self._trouble = trouble
            return seconds

    def _restored(self, client: docker.APIClient) -> HubPlace:
        """The hub's place, with all networks there. Raises BackendError."""
        assert self._place is not None  # noqa: S101 - `make` precedes
        for name, described in self._described.items():
            if _made_if_missing(client, name, described):
                self.repairs["network"] += 1
        first = self._place.servers.networks[0].name
        place = hub_place(client, self._catalog(), self._hub, self._port, first=first)
        if place.servers.address != self._place.servers.address:
            raise EngineRefused(
                f'The hub listens at {self._place.servers.address}, and the network "{first}" now has '
                f"{place.servers.address or 'no gateway'}. An administrator must restart the hub."
            )
        return place

    def _closed_gaps(self, client: docker.APIClient, place: HubPlace) -> str:
        """What is open that was not when the hub started, after an attempt to close it; "" if nothing is."""
        open_now = frozenset(missing_isolation(client, place.servers, place.images)) - self._accepted
        if not open_now:
            return ""
        still_open = frozenset(isolate(client, place.servers, place.images)) - self._accepted
        if not still_open:
            self.repairs["rules"] += 1
            log.warning("Packet rules of the servers' networks were missing, and were written again.")
        return " ".join(sorted(map(str, still_open)))

    def _servers(self, client: docker.APIClient) -> set[str]:
        """The ids of all containers of servers that run."""
        return {found["Id"] for found in client.containers(filters={"label": f"{HUB}={self._hub}"})}

    def _rejoin_servers(self, client: docker.APIClient, place: HubPlace) -> None:
        """Put servers back on the network that they were made for."""
        names = {network.name for network in place.servers.networks}
        for container in list(self._disconnected):
            found = or_none(lambda container=container: client.inspect_container(container))  # type: ignore[misc]
            if found is not None and self._is_apart(found, names):
                self._rejoin(client, found)
            self._disconnected.discard(container)

    def _is_apart(self, container: Mapping[str, Any], networks: set[str]) -> bool:
        """Whether a container is a server that runs, and is not on its network."""
        ours = (container["Config"]["Labels"] or {}).get(HUB) == self._hub and container["State"]["Running"]
        network = container["HostConfig"]["NetworkMode"]
        return ours and network in networks and network not in (container["NetworkSettings"]["Networks"] or {})

    def _rejoin(self, client: docker.APIClient, container: Mapping[str, Any]) -> None:
        name, network = container["Name"].removeprefix("/"), container["HostConfig"]["NetworkMode"]
        with contextlib.suppress(APIError):  # it has ended meanwhile
            client.connect_container_to_network(container["Id"], network)
            self.repairs["server"] += 1
            log.warning('The server %s was disconnected from its network "%s", and was put back on it.', name, network)
            self.on_rejoin(name)

    def _remember(self, client: docker.APIClient, place: HubPlace) -> None:
        names = [network.name for network in place.servers.networks]
        self._described = {name: client.inspect_network(name) for name in names}
        self._whole = frozenset(names)
        text = json.dumps({name: {key: one[key] for key in _KEPT} for name, one in self._described.items()}, indent=2)
        if self._record is not None and text != self._recorded:
            try:
                replace_file(self._record, text)
            except OSError as error:
                log.warning("The addresses of the servers' networks are not kept for the next start: %s", error)
            self._recorded = text

    def _make_recorded(self, client: docker.APIClient) -> None:
        """Make the networks of the process before again if they were removed since, with the addresses they had."""
        for name, described in _read(self._record).items():
            try:
                _made_if_missing(client, name, described)
            except EngineRefused as error:
                log.warning("%s It gets others; servers that run must be started anew.", error)


def _read(record: Path | None) -> dict[str, Mapping[str, Any]]:
    """The recorded networks; none where there is no record, or it is damaged."""
    try:
        data = json.loads(record.read_bytes()) if record else {}
        return {name: {key: one[key] for key in _KEPT} for name, one in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be used, and is made again: %r", record, error)
        return {}


def _made_if_missing(client: docker.APIClient, name: str, described: Mapping[str, Any]) -> bool:
    """Make a network as it was if it is not there; return whether it was missing. Raises EngineRefused."""
    if or_none(lambda: client.inspect_network(name)) is not None:
        return False
    _make_again(client, name, described)
    log.warning('The network "%s" was removed. It was made again, with the addresses it had.', name)
    return True


def _make_again(client: docker.APIClient, name: str, described: Mapping[str, Any]) -> None:
    """Make a network as it was. Raises EngineRefused if its addresses are taken."""
    pools = [
        IPAMPool(subnet=pool.get("Subnet"), gateway=pool.get("Gateway"), iprange=pool.get("IPRange"))
        for pool in described["IPAM"]["Config"] or ()
    ]
    try:
        client.create_network(
            name,
            driver=described["Driver"],
            options=described["Options"] or None,
            ipam=IPAMConfig(described["IPAM"].get("Driver") or "default", pools),
            check_duplicate=True,
            internal=described["Internal"],
            labels=described["Labels"] or None,
            enable_ipv6=described["EnableIPv6"],
        )
    except APIError as error:
        raise EngineRefused(
            f'The network "{name}" was removed, and could not be made again with the addresses it had '
            f"({', '.join(pool['Subnet'] for pool in pools)}). An administrator must free them, or restart the hub.",
            detail=str(error.explanation or error),
        ) from error
