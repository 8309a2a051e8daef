"""The values of the catalog, each read once: CPU becomes thousandths of a core, memory bytes, and time seconds.

`model_dump(mode="json")` writes them as text again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from re import Pattern
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from stateroom.common.quantity import (
    KINDS,
    MINUTE,
    MiB,
    format_cpu,
    format_duration,
    format_memory,
    format_memory_exactly,
    parse_count,
    parse_cpu,
    parse_duration,
    parse_memory,
)
from stateroom.common.text import quoted

_SHARE = re.compile(r"[01](?:\.[0-9]{1,6})?|\.[0-9]{1,6}", re.ASCII)
_LEAST_SHARE = 0.0001  # a smaller one is written with an exponent by YAML
_PROMISES = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}", re.ASCII)
_MOST_PROMISES = 10  # for each byte of the machine's
# What every server is told of itself. A word of the catalog's own for one of them could only be wrong.
OWN_VARIABLES = (
    "STATEROOM_HUB",
    "STATEROOM_GROUPS",
    "STATEROOM_IMAGE",
    "STATEROOM_IMAGE_REFERENCE",
    "CPU_GUARANTEE",
    "MEM_GUARANTEE",
    *(f"{kind.variable}_LIMIT" for kind in KINDS),
)
_NO_NETWORKS = ("host", "none", "bridge", "default")  # of one's own: these are the engine's
_GROUP_ID = re.compile(r"[0-9]{1,10}", re.ASCII)
_LARGEST_GROUP_ID = 2**31 - 1
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Text:
    """The type of a text of one form, for `Annotated`: its pattern, what it is called, and what to write instead.

    `refused` finds what is wrong with a text of that form, "" for nothing.
    """

    pattern: Pattern[str]
    what: str
    hint: str
    example: str = ""
    refused: Callable[[str], str] = lambda _: ""

    def parse(self, value: object) -> str:
        """Return the text. Raises ValueError with a sentence for anything else."""
        if not isinstance(value, str) or not self.pattern.fullmatch(value):
            raise ValueError(f"{quoted(value)} is not {self.what}; write {self.hint}")
        if reason := self.refused(value):
            raise ValueError(f"{quoted(value)} {reason}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        form = {"pattern": f"^{self.pattern.pattern}$", "examples": [self.example]} if self.example else {}
        return {**handler(schema), **form}


def _why_no_network(name: str) -> str:
    return "is no network for servers; name one of their own" if name in _NO_NETWORKS else ""


def _why_no_variable(name: str) -> str:
    if name.startswith(("JUPYTERHUB_", "JPY_")):
        return "is set by the hub; remove it"
    return "tells each server what it has; remove it" if name in OWN_VARIABLES else ""


ID = Text(
    re.compile(r"[a-z0-9][a-z0-9._-]{0,62}"), "an id", "lower-case letters, digits, '.', '_' or '-'", example="unified"
)
_DNS_LABEL = Text(
    re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII),
    "a name in Kubernetes",
    "lower-case letters, digits and '-'",
    example="research",
)
_DNS_NAME = Text(
    re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII),
    "a name in Kubernetes",
    "lower-case letters, digits, '-' and '.'",
    example="fast-storage",
)
_NETWORK = Text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII),
    "a network's name",
    "letters, digits, '_', '.' or '-'",
    example="research",
    refused=_why_no_network,
)
_KERNEL = Text(
    re.compile(r"[A-Za-z0-9._-]{1,128}"), "a kernel's name", "it as `jupyter kernelspec list` does", example="python3"
)
_VARIABLE = Text(
    re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII),
    "a variable's name",
    "letters, digits and '_'",
    refused=_why_no_variable,
)


def parse_name(value: object) -> str:
    """The name of a user or group, as the hub knows it."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and value == value.strip():
        return value
    raise ValueError(f"{quoted(value)} is not a name; write it as the hub shows it")


def parse_share(value: object) -> float:
    """A share from 0.0001 to 1."""
    text = _number_text(value)
    if _SHARE.fullmatch(text) and _LEAST_SHARE <= float(text) <= 1:
        return float(text)
    raise ValueError(f"{quoted(value)} is not a share; write a number from 0.0001 to 1, for example 0.25")


def parse_capacity(value: object) -> float:
    """A share of the machine from 0.0001 to 10; above 1 the same memory is promised more than once."""
    text = _number_text(value)
    if _PROMISES.fullmatch(text) and _LEAST_SHARE <= float(text) <= _MOST_PROMISES:
        return float(text)
    raise ValueError(f"{quoted(value)} is not a share of the machine; write a number from 0.0001 to 10, such as 0.9")


def _number_text(value: object) -> str:
    text = repr(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    return text if isinstance(text, str) else ""


def _at_least(least: float, spelled: Callable[[Any], str]) -> AfterValidator:
    def check(value: Any) -> Any:
        if value < least:
            raise ValueError(f"{spelled(value)} is too little; write at least {spelled(least)}")
        return value

    return AfterValidator(check)


def _parse_group_id(value: object) -> int:
    number = int(value) if isinstance(value, str) and _GROUP_ID.fullmatch(value) else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _LARGEST_GROUP_ID:
        return number
    raise ValueError(f"{quoted(value)} is not the number of a group; write for example 2001")


def _parse_version(value: object) -> int:
    if value in (1, "1") and not isinstance(value, bool):
        return 1
    raise ValueError(f"{quoted(value)} is not a version that is known here; write 1")


def _parse_variable_text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(
            f"{'nothing' if value is None else quoted(value)} is no value for this; write a text, '' for none"
        )
    return value


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


# The least that the engines take (CPU), and that anything starts in (memory).
Cpu = Annotated[
    int,
    BeforeValidator(parse_cpu),
    _at_least(10, format_cpu),
    PlainSerializer(format_cpu, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0.01}, {"type": "string", "pattern": r"^[0-9.]+m?$"}]}),
]
_MEMORY_TEXT = _text_schema(r"^[0-9.]+ ?([kKMGT]i?)?B?$", "2 GiB")
_as_memory = PlainSerializer(format_memory_exactly, when_used="json")
Memory = Annotated[int, BeforeValidator(parse_memory), _at_least(64 * MiB, format_memory), _as_memory, _MEMORY_TEXT]
MemoryStep = Annotated[int, BeforeValidator(parse_memory), _at_least(MiB, format_memory), _as_memory, _MEMORY_TEXT]
Count = Annotated[int, BeforeValidator(parse_count), WithJsonSchema({"type": "integer", "minimum": 0})]
AtLeastOne = Annotated[
    int, BeforeValidator(parse_count), _at_least(1, str), WithJsonSchema({"type": "integer", "minimum": 1})
]
GroupId = Annotated[int, BeforeValidator(_parse_group_id), WithJsonSchema({"type": "integer", "minimum": 1})]
Share = Annotated[
    float, BeforeValidator(parse_share), WithJsonSchema({"type": "number", "minimum": _LEAST_SHARE, "maximum": 1})
]
CapacityShare = Annotated[
    float,
    BeforeValidator(parse_capacity),
    WithJsonSchema({"type": "number", "minimum": _LEAST_SHARE, "maximum": _MOST_PROMISES}),
]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    _text_schema(r"^[0-9.]+ ?(s|sec|min|h)$", "2 min"),
]
IdleTime = Annotated[Duration, _at_least(MINUTE, format_duration)]
Id = Annotated[str, ID]
Name = Annotated[str, BeforeValidator(parse_name), WithJsonSchema({"type": "string", "minLength": 1})]
DnsName = Annotated[str, _DNS_NAME]
DnsLabel = Annotated[str, _DNS_LABEL]
NetworkName = Annotated[str, _NETWORK]
KernelName = Annotated[str, _KERNEL]
VariableName = Annotated[str, _VARIABLE]
VariableText = Annotated[
    str, BeforeValidator(_parse_variable_text), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
Version = Annotated[int, BeforeValidator(_parse_version), WithJsonSchema({"const": 1})]
# A key with nothing behind it, as when all below it is commented out, is an empty section.
MayBeEmpty = BeforeValidator(lambda value: {} if value is None else value)
Variables = Annotated[dict[VariableName, VariableText], MayBeEmpty]


class Model(BaseModel):
    """What all parts of the catalog share: unknown keys are refused and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _may_be_empty(cls, value: Any) -> Any:
        """As `MayBeEmpty`."""
        return {} if value is None else value
