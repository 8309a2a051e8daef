"""Finds values of a file that contradict each other, and hints at what a file leaves out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stateroom.catalog.consistency import Fault
from stateroom.common.text import nearest, quoted
from stateroom.operations.chart_values.chart import Section, chart_values, values_of

_NOBODY = "Nobody can log in yet: name an authenticator with hub.config.JupyterHub.authenticator_class."

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in effect with a file, by dotted names: the file's or the default. None where the file has a fault."""

    written: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.written.get(name, self.defaults[name])


def settings_of(data: Any, found: Sequence[tuple[Path, str]]) -> Settings:
    broken = {path for path, _ in found} | {meant for path, _ in found if (meant := _meant(path))}
    values = list(values_of(chart_values()))
    written = {
        ".".join(value.path): None if _touched(value.path, broken) else _at(data, value.path)
        for value in values
        if _touched(value.path, broken) or _at(data, value.path) is not None
    }
    return Settings(written, {".".join(value.path): value.default for value in values})


def _meant(path: Path) -> Path:
    """Return the key that a misspelled one probably stands for, so that it does not count as missing."""
    section = next((part for part in _sections(chart_values()) if part.path == path[:-1]), None)
    meant = nearest(path[-1], [part.path[-1] for part in section.parts]) if section and path else ""
    return (*path[:-1], meant) if meant else ()


def _sections(section: Section) -> Iterator[Section]:
    yield section
    for part in section.parts:
        if isinstance(part, Section):
            yield from _sections(part)


def _touched(path: Path, broken: Iterable[Path]) -> bool:
    """Return whether a fault is at a path, inside it or around it."""
    return any(fault[: len(path)] == path[: len(fault)] for fault in broken)


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def contradictions(settings: Settings) -> Iterator[Fault]:
    """Yield contradictions between values, and faults that the schema cannot express."""
    yield from _ways_in(settings)
    yield from _volume(settings)
    yield from _networks(settings)
    yield from _set_by_the_chart(settings["hub.config"])


def _ways_in(settings: Settings) -> Iterator[Fault]:
    for kind in ("ingress", "route"):
        if settings[f"{kind}.enabled"] and settings["host"] == "":
            yield Fault(
                (kind, "enabled"), "there is no name that it could lead from; write host, such as hub.example.org"
            )
    if settings["ingress.enabled"] and settings["route.enabled"]:
        yield Fault(("route", "enabled"), "ingress is enabled too, and one of them leads to the hub; disable the other")
    if settings["route.enabled"] and settings["route.gateway"] == "":
        yield Fault(("route", "enabled"), "there is no Gateway that it could belong to; write route.gateway")
    if settings["ingress.tls_secret"] and settings["ingress.enabled"] is False:
        yield Fault(
            ("ingress", "tls_secret"), "there is no Ingress that could use it; write enabled: true, or remove it"
        )


def _volume(settings: Settings) -> Iterator[Fault]:
    if not settings["hub.volume.claim"]:
        return
    for key in ("size", "storage_class"):
        if settings.written.get(f"hub.volume.{key}"):
            sentence = f"the claim {quoted(settings['hub.volume.claim'])} has its own already; remove this, or claim"
            yield Fault(("hub", "volume", key), sentence)


def _networks(settings: Settings) -> Iterator[Fault]:
    for key in ("closed", "open"):
        for index, text in enumerate(settings[f"network_policies.{key}"] or ()):
            if sentence := _no_range(text):
                yield Fault(("network_policies", key, index), sentence)
    if settings["network_policies.open"] and settings["network_policies.enabled"] is False:
        sentence = "nothing is closed while network_policies.enabled is false; remove this, or write enabled: true"
        yield Fault(("network_policies", "open"), sentence)


def _no_range(text: str) -> str:
    """Return what is wrong with an address range in Kubernetes' notation, or ""."""
    address, slash, length = text.partition("/")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network and "%" not in address and not slash:
        return f"{quoted(text)} is a single address; write {network}"
    if network is None or "%" in address or str(network.prefixlen) != length:
        return f"{quoted(text)} is no range of addresses; write for example 10.0.0.0/8"
    return ""


_SET_BY_THE_CHART = {
    ("JupyterHub", "spawner_class"): "the chart's servers are started by Stateroom; remove this",
    ("JupyterHub", "hub_connect_url"): "the chart says where servers find the hub; remove this",
    ("JupyterHub", "hub_bind_url"): "the chart says where the hub listens; remove this",
    ("JupyterHub", "proxy_class"): "the chart's proxy is looked after by Stateroom; remove this",
    ("JupyterHub", "db_url"): "write hub.database_url instead",
    ("JupyterHub", "cookie_secret"): "the chart keeps one in a Secret; remove this",
    ("ConfigurableHTTPProxy", "api_url"): "the chart says where the proxy is; remove this",
    ("ConfigurableHTTPProxy", "auth_token"): "the chart keeps one in a Secret; remove this",
    ("ConfigurableHTTPProxy", "should_start"): "the proxy has a pod of its own; remove this",
}


def _set_by_the_chart(config: Mapping[str, Any] | None) -> Iterator[Fault]:
    for (section, key), sentence in _SET_BY_THE_CHART.items():
        if key in ((config or {}).get(section) or {}):
            yield Fault(("hub", "config", section, key), sentence)


def hints(settings: Settings) -> Iterator[str]:
    config, code = settings["hub.config"], settings["hub.code"]
    if config is None or code is None or "authenticator_class" in code:
        return
    if not (config.get("JupyterHub") or {}).get("authenticator_class"):
        yield _NOBODY
