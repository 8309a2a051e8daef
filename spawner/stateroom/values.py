"""The chart's values: what may be set, as JSON Schema and as a page, and what is wrong with somebody's file of them.

The comments of the chart's values.yaml are the one source. The lines right
above a key describe it, and one such as `# schema: {minimum: 1}` adds to what
its default says of its form. A key is a section where keys of its own have
comments; every other is a value, whatever stands in its default. The lines
that the file begins with describe all of it.

Helm merges a file over the defaults and then asks the schema. A null never
gets there, since it takes the default away, and the templates find nothing.
So a null is a fault where the chart has a value, and accepted further inside
one, as in `hub.resources.limits`, where it has a use.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from stateroom.catalog import Catalog
from stateroom.contradictions import Fault
from stateroom.document import MOST_FAULTS, Document, in_order
from stateroom.errors import CatalogError, CatalogFault
from stateroom.loading import parse_catalog
from stateroom.wording import clipped, nearest, no_such_key, quoted

_PACKAGE = Path(__file__).parent

# Helm 3 reads this one and none after it.
_DIALECT = "http://json-schema.org/draft-07/schema#"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_SCHEMA = "schema: "

# Helm's own, for charts that hold this one.
_GLOBAL = {
    "description": "Values that a chart around this one shares with it. Nothing here reads them.",
    "type": "object",
}

_CATALOG = ("catalog",)
A_FILE_OF_VALUES = "a file of values"
_NOBODY = "Nobody can log in yet: name an authenticator with hub.config.JupyterHub.authenticator_class."

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart. `form` is what JSON Schema says of it, besides the default and the description."""

    path: tuple[str, ...]
    description: str
    default: Any
    form: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Values under one key."""

    path: tuple[str, ...]
    description: str
    parts: tuple[Section | Value, ...]


def chart_folder() -> Path:
    """The chart: inside an installed package, else in the checkout."""
    shipped = _PACKAGE / "shipped" / "chart"
    return shipped if shipped.is_dir() else _PACKAGE.parent.parent / "helm" / "stateroom"


@cache
def chart_values() -> Section:
    """All values of the chart."""
    return section_from((chart_folder() / "values.yaml").read_text(encoding="utf-8"))


def chart_catalog() -> Catalog:
    """The catalog that counts where nobody gives one."""
    return parse_catalog(next(value.default for value in values_of(chart_values()) if value.path == _CATALOG))


def section_from(text: str) -> Section:
    """The values that a commented file describes."""
    lines = text.splitlines()
    head = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    root: Any = yaml.compose(text, yaml.SafeLoader)
    return Section((), _words(lines[:head]), tuple(_parts((), root, yaml.safe_load(text), lines)))


def values_of(section: Section) -> Iterator[Value]:
    """Every value in it, in their order."""
    for part in section.parts:
        if isinstance(part, Value):
            yield part
        else:
            yield from values_of(part)


def _parts(
    path: tuple[str, ...], node: yaml.MappingNode, data: Mapping[str, Any], lines: Sequence[str]
) -> Iterator[Section | Value]:
    for key, value in node.value:
        name, above = key.value, _comment(lines, key.start_mark)
        place = (*path, name)
        inner = value.value if isinstance(value, yaml.MappingNode) else []
        if any(_comment(lines, inner_key.start_mark) for inner_key, _ in inner):
            yield Section(place, _words(above), tuple(_parts(place, value, data[name], lines)))
        else:
            form = {"type": _TYPES[type(data[name])]} | _keywords(above)
            yield Value(place, _words(above), data[name], form)


def _comment(lines: Sequence[str], mark: Any) -> list[str]:
    """The lines of comment right above a key, as far in as it is. Those that the file begins with are not its own."""
    begin, end = " " * mark.column + "#", mark.line
    first = end
    while first and lines[first - 1].startswith(begin):
        first -= 1
    return list(lines[first:end]) if first else []


def _words(comment: Sequence[str]) -> str:
    texts = (line.strip().removeprefix("#").strip() for line in comment)
    return " ".join(text for text in texts if not text.startswith(_SCHEMA))


def _keywords(comment: Sequence[str]) -> dict[str, Any]:
    texts = (line.strip().removeprefix("#").strip() for line in comment)
    keywords: dict[str, Any] = {}
    for text in texts:
        if text.startswith(_SCHEMA):
            keywords |= yaml.safe_load(text.removeprefix(_SCHEMA))
    return keywords


def values_schema() -> dict[str, Any]:
    """The JSON Schema that ships with the chart, by which Helm refuses what is misspelled."""
    schema = _schema(chart_values())
    schema["properties"]["global"] = _GLOBAL
    return {"$schema": _DIALECT, "title": "Values of Stateroom's chart", **schema}


def _schema(part: Section | Value) -> dict[str, Any]:
    described = {"description": part.description} if part.description else {}
    if isinstance(part, Value):
        return {**described, **part.form, "default": part.default}
    properties = {inner.path[-1]: _schema(inner) for inner in part.parts}
    return {**described, "type": "object", "properties": properties, "additionalProperties": False}


def values_page() -> str:
    """Markdown: a table of the values and sections, in the file's order."""
    return "\n".join(["| value | default | is |", "|---|---|---|", *_rows(chart_values())])


def _rows(section: Section) -> Iterator[str]:
    for part in section.parts:
        default = _written(part.default) if isinstance(part, Value) else ""
        if part.description or default:
            cells = [f"`{'.'.join(part.path)}`", default, part.description]
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if isinstance(part, Section):
            yield from _rows(part)


def _written(default: Any) -> str:
    """A default as YAML on one line; many lines are where they stand."""
    if isinstance(default, str) and "\n" in default:
        return "[as in the file](values.yaml)"
    line = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("\n...\n")
    return f"`{line.strip() if default else line.strip().replace(chr(39), chr(34))}`"


@dataclass(frozen=True, slots=True)
class Values:
    """What a file of values comes to."""

    faults: tuple[CatalogFault, ...] = ()
    hints: tuple[str, ...] = ()  # what is no fault, and better known
    catalog: Catalog | None = None  # its own, if it has one that holds


def values_faults(text: str, name: str = "values.yaml") -> list[CatalogFault]:
    """Every fault of a file of values, in its order; `name` stands before each."""
    return list(read_values(text, name).faults)


def read_values(
    text: str,
    name: str = "values.yaml",
    further: Callable[[Catalog], Iterable[Fault]] = lambda _: (),
    *,
    with_catalog: bool = True,
) -> Values:
    """Check a file of values, and the catalog in it, of which `further` finds faults if it holds otherwise.

    With another catalog beside the file, as by `--set-file catalog=`, the one in it does not count.
    """
    document = Document(name, A_FILE_OF_VALUES, meaning=as_helm_reads)
    data = document.read(text)
    if document.faults:
        return Values(tuple(document.faults[:MOST_FAULTS]))
    data = {} if data is None else data
    found = sorted(_faults_of_form(data, document), key=lambda fault: document.place(fault[0]))
    settings = _settings(data, found)
    contradictory = islice(_contradictions(settings), MOST_FAULTS)
    catalog, faults = None, document.placed([*found[:MOST_FAULTS], *contradictory])
    if with_catalog and settings.written.get("catalog") is not None:
        try:
            catalog = parse_catalog(settings["catalog"], name, further)
        except CatalogError as error:
            place = _place_of_catalog(document, text)
            faults += [place(fault) for fault in error.faults]
    return Values(tuple(in_order(faults)[:MOST_FAULTS]), tuple(_hints(settings)), catalog)


_BOOLEANS = {
    word: meaning
    for meaning, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for plain in words
    for word in (plain, plain.capitalize(), plain.upper())
}
_WHOLE = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WHOLE_RANGE = range(-(2**63), 2**64)  # what Helm keeps as whole numbers
_LONGEST = 64  # digits of a number that may be one of them


def as_helm_reads(text: str) -> bool | int | float | str:
    """What a scalar without quotes means to Helm, whose YAML is that of version 1.1, without times and dates."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    digits = text.replace("_", "")
    if text.startswith("_"):
        return text
    if _WHOLE.fullmatch(digits) and len(digits) <= _LONGEST:
        number = _whole(digits.lower())
        return number if number in _WHOLE_RANGE else float(number)
    return float(digits.replace(".", "", 1) if digits[-1:].isalpha() else digits) if _FLOAT.fullmatch(digits) else text


def _whole(digits: str) -> int:
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
    return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)


def _faults_of_form(data: Any, document: Document) -> Iterator[tuple[_Path, str]]:
    """What the schema refuses."""
    from jsonschema import Draft7Validator  # noqa: PLC0415 - most of a second, which other commands need not spend

    for error in Draft7Validator(values_schema()).iter_errors(data):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            for key in (key for key in error.instance if key not in error.schema["properties"]):
                yield (*path, key), _no_such_value(path, key)
        else:
            yield path, _sentence(error, path, document.written(path))


def _no_such_value(path: _Path, key: str) -> str:
    elsewhere = [".".join(value.path) for value in values_of(chart_values()) if value.path[-1] == key]
    if len(elsewhere) == 1:
        return f'there is no such key; did you mean "{elsewhere[0]}"?'
    return no_such_key(key, _keys_at(path))


def _keys_at(path: _Path) -> list[str]:
    """The keys of a section."""
    found = chart_values()
    for name in path:
        found = next(part for part in found.parts if part.path[-1] == name and isinstance(part, Section))
    return [part.path[-1] for part in found.parts]


_FORMS = {
    "boolean": "write true or false",
    "integer": "write a whole number",
    "number": "write a number",
    "string": "write a text",
    "array": "write a list, such as [one, two]",
    "object": "write keys with their values",
}


def _sentence(error: Any, path: _Path, written: str) -> str:
    """A fault of form, in our own words. `written` is the scalar as it stands in the file, if it is one."""
    found, limit = error.instance, error.validator_value
    shown = quoted(written or found)
    match error.validator:
        case "type" if found is None:
            told = f"nothing is no value for this; leave it out for the default, or {_FORMS[limit]}"
        case "type" if path == _CATALOG and isinstance(found, (dict, list)):
            told = f"{shown} is no value for this; write it as text, in lines after `catalog: |`"
        case "type" if limit == "string" and isinstance(found, (bool, int, float)):
            # Without the value, which may be a password.
            told = f"is read as {'true or false' if isinstance(found, bool) else 'a number'}; put it in quotes"
        case "type":
            told = f"{shown} is no value for this; {_FORMS[limit]}"
        case "enum":
            told = f"{shown} is not known here; write {' or '.join(map(str, limit))}"
        case "minimum":
            told = f"{shown} is too little; write {limit} or more"
        case "maximum":
            told = f"{shown} is too much; write {limit} or less"
        case _:
            told = clipped(error.message)
    return told


@dataclass(frozen=True, slots=True)
class _Settings:
    """What holds with a file, by dotted names: what it says, else the default. None stands where it is broken."""

    written: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.written.get(name, self.defaults[name])


def _settings(data: Any, found: Sequence[tuple[_Path, str]]) -> _Settings:
    broken = {path for path, _ in found} | {meant for path, _ in found if (meant := _meant(path))}
    values = list(values_of(chart_values()))
    written = {
        ".".join(value.path): None if _touched(value.path, broken) else _at(data, value.path)
        for value in values
        if _touched(value.path, broken) or _at(data, value.path) is not None
    }
    return _Settings(written, {".".join(value.path): value.default for value in values})


def _meant(path: _Path) -> _Path:
    """What a misspelled key was probably meant to be: nothing is concluded from its not being there."""
    section = next((part for part in _sections(chart_values()) if part.path == path[:-1]), None)
    meant = nearest(path[-1], [part.path[-1] for part in section.parts]) if section and path else ""
    return (*path[:-1], meant) if meant else ()


def _sections(section: Section) -> Iterator[Section]:
    yield section
    for part in section.parts:
        if isinstance(part, Section):
            yield from _sections(part)


def _touched(path: _Path, broken: Iterable[_Path]) -> bool:
    """Whether a fault is at a place, within it or around it."""
    return any(fault[: len(path)] == path[: len(fault)] for fault in broken)


def _at(data: Any, path: _Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _contradictions(settings: _Settings) -> Iterator[Fault]:
    """What parts of the values say about each other and cannot both be meant, and what only a word about them tells."""
    yield from _ways_in(settings)
    yield from _volume(settings)
    yield from _networks(settings)
    yield from _set_by_the_chart(settings["hub.config"])


def _ways_in(settings: _Settings) -> Iterator[Fault]:
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


def _volume(settings: _Settings) -> Iterator[Fault]:
    if not settings["hub.volume.claim"]:
        return
    for key in ("size", "storage_class"):
        if settings.written.get(f"hub.volume.{key}"):
            sentence = f"the claim {quoted(settings['hub.volume.claim'])} has its own already; remove this, or claim"
            yield Fault(("hub", "volume", key), sentence)


def _networks(settings: _Settings) -> Iterator[Fault]:
    for key in ("closed", "open"):
        for index, text in enumerate(settings[f"network_policies.{key}"] or ()):
            if sentence := _no_range(text):
                yield Fault(("network_policies", key, index), sentence)
    if settings["network_policies.open"] and settings["network_policies.enabled"] is False:
        sentence = "nothing is closed while network_policies.enabled is false; remove this, or write enabled: true"
        yield Fault(("network_policies", "open"), sentence)


def _no_range(text: str) -> str:
    """What is wrong with a range of addresses as Kubernetes has them, "" if nothing is."""
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


def _hints(settings: _Settings) -> Iterator[str]:
    config, code = settings["hub.config"], settings["hub.code"]
    if config is None or code is None or "authenticator_class" in code:
        return
    if not (config.get("JupyterHub") or {}).get("authenticator_class"):
        yield _NOBODY


_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # what ends a line in YAML


def _place_of_catalog(document: Document, text: str) -> Callable[[CatalogFault], CatalogFault]:
    """How a fault of the catalog is told: at its line of the file, where the catalog stands there line by line."""
    key, begin = document.place(_CATALOG), document.block(_CATALOG)
    inner = _BREAK.split(document.written(_CATALOG))
    outer = _BREAK.split(text)[begin : begin + len(inner)]
    first = next((index for index, line in enumerate(inner) if line), 0)
    indent = len(outer[first]) - len(inner[first]) if first < len(outer) else 0
    by_line = begin and all(there[indent:] == line for line, there in zip(inner, outer, strict=False) if line)

    def placed(fault: CatalogFault) -> CatalogFault:
        if by_line and fault.line:
            where = f"catalog.{fault.where}" if fault.where else "catalog"
            column = fault.column + indent if fault.column else 0
            return CatalogFault(fault.file, fault.sentence, fault.line + begin, column, where)
        where = f"catalog, line {fault.line}" if fault.line else "catalog"
        return CatalogFault(fault.file, fault.sentence, *key, ": ".join(filter(None, (where, fault.where))))

    return placed
