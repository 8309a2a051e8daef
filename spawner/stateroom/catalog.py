"""The catalog's models: what an admin may write, and what it means.

Each field's description is the reference an admin reads. Quantities are parsed
here, once: behind these models CPU is thousandths of a core, memory is bytes
and a length of time is seconds. `model_dump(mode="json")` writes them as text
again. What one part says about another (a default that nobody may use, a group
that is not listed) is checked by `contradictions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from stateroom.quantity import (
    GiB,
    MiB,
    Resources,
    format_cpu,
    format_memory,
    format_memory_exactly,
    parse_count,
    parse_cpu,
    parse_memory,
)
from stateroom.wording import quoted

CUSTOM = "custom"  # the size's id in a choice that names CPU and memory itself

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|sec|min|h)", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}
_SHARE = re.compile(r"[01](?:\.[0-9]{1,6})?|\.[0-9]{1,6}", re.ASCII)
_LEAST_SHARE = 0.0001  # a smaller one is written with an exponent by YAML
_PROMISES = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}", re.ASCII)
_MOST_PROMISES = 10  # for each byte of the machine's
_GROUP_ID = re.compile(r"[0-9]{1,10}", re.ASCII)
_KERNEL = re.compile(r"[A-Za-z0-9._-]{1,128}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
# What every server is told of itself. A word of the catalog's own for one of them could only be wrong.
OWN_VARIABLES = (
    "STATEROOM_HUB",
    "STATEROOM_GROUPS",
    "STATEROOM_IMAGE",
    "STATEROOM_IMAGE_REFERENCE",
    "CPU_LIMIT",
    "CPU_GUARANTEE",
    "MEM_LIMIT",
    "MEM_GUARANTEE",
    "GPU_LIMIT",
)
_NO_NETWORKS = ("host", "none", "bridge", "default")  # of one's own: these are the engine's
_LONGEST_NAME = 255
_LARGEST_GROUP_ID = 2**31 - 1
_LEAST_IDLE = 60.0
_LONGEST_TIME = 1e9  # seconds, which is thirty years


def parse_id(value: object) -> str:
    """An id: lower-case letters, digits, `.`, `_` and `-`, at most 63 of them."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} is not an id; write lower-case letters, digits, '.', '_' or '-'")


def parse_name(value: object) -> str:
    """The name of a user or group, as the hub knows it."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and value == value.strip():
        return value
    raise ValueError(f"{quoted(value)} is not a name; write it as the hub shows it")


def parse_duration(value: object) -> float:
    """Seconds from "90 s", "2 min" or "8 h"."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{quoted(value)} is not a length of time; write for example 2 min")
    seconds = float(Decimal(match[1]) * _SECONDS[match[2]])
    if seconds >= _LONGEST_TIME:
        raise ValueError(f"{quoted(value)} is too long a time; leave it out for no end")
    return seconds


def format_duration(seconds: float) -> str:
    """`28800.0` -> "8 h", in a form that `parse_duration` reads back exactly."""
    exact = Decimal(repr(seconds))
    for name, length in (("h", 3600), ("min", 60)):
        if exact >= length and exact % length == 0:
            return f"{format((exact / length).normalize(), 'f')} {name}"
    return f"{format(exact.normalize(), 'f')} s"


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


def _parse_dns_label(value: object) -> str:
    if isinstance(value, str) and _DNS_LABEL.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} is not a name in Kubernetes; write lower-case letters, digits and '-'")


def _parse_dns_name(value: object) -> str:
    if isinstance(value, str) and _DNS_NAME.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} is not a name in Kubernetes; write lower-case letters, digits, '-' and '.'")


def _parse_network(value: object) -> str:
    if not isinstance(value, str) or not _NETWORK.fullmatch(value):
        raise ValueError(f"{quoted(value)} is not a network's name; write letters, digits, '_', '.' or '-'")
    if value in _NO_NETWORKS:
        raise ValueError(f"{quoted(value)} is no network for servers; name one of their own")
    return value


def _parse_variable_name(value: object) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError(f"{quoted(value)} is not a variable's name; write letters, digits and '_'")
    if value.startswith(("JUPYTERHUB_", "JPY_")):
        raise ValueError(f"{quoted(value)} is set by the hub; remove it")
    if value in OWN_VARIABLES:
        raise ValueError(f"{quoted(value)} tells each server what it has; remove it")
    return value


def _parse_variable_text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(
            f"{'nothing' if value is None else quoted(value)} is no value for this; write a text, '' for none"
        )
    return value


def _parse_kernel_name(value: object) -> str:
    if isinstance(value, str) and _KERNEL.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} is not a kernel's name; write it as `jupyter kernelspec list` does")


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
IdleTime = Annotated[Duration, _at_least(_LEAST_IDLE, format_duration)]
Id = Annotated[str, BeforeValidator(parse_id), _text_schema(f"^{_ID.pattern}$", "unified")]
Name = Annotated[str, BeforeValidator(parse_name), WithJsonSchema({"type": "string", "minLength": 1})]
DnsName = Annotated[str, BeforeValidator(_parse_dns_name), _text_schema(f"^{_DNS_NAME.pattern}$", "fast-storage")]
DnsLabel = Annotated[str, BeforeValidator(_parse_dns_label), _text_schema(f"^{_DNS_LABEL.pattern}$", "research")]
NetworkName = Annotated[str, BeforeValidator(_parse_network), _text_schema(f"^{_NETWORK.pattern}$", "research")]
KernelName = Annotated[str, BeforeValidator(_parse_kernel_name), _text_schema(f"^{_KERNEL.pattern}$", "python3")]
VariableName = Annotated[str, BeforeValidator(_parse_variable_name)]
VariableText = Annotated[
    str, BeforeValidator(_parse_variable_text), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
# A key with nothing behind it, as when all below it is commented out, is an empty section.
_MayBeEmpty = BeforeValidator(lambda value: {} if value is None else value)
Variables = Annotated[dict[VariableName, VariableText], _MayBeEmpty]


class Model(BaseModel):
    """What all parts of the catalog share: unknown keys are refused and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _may_be_empty(cls, value: Any) -> Any:
        """As `_MayBeEmpty`."""
        return {} if value is None else value


Pull = Literal["missing", "always", "never"]


class Image(Model):
    """A container image that servers may run."""

    id: Id = Field(description="Short name, unique among the images.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One or two sentences for the form.", max_length=2000)
    image: str = Field(description="The container image's reference, such as stateroom/unified:1.", min_length=1)
    pull: Pull = Field(
        "missing",
        description="When a start fetches the image from its registry: `missing`, where the machine has none of this "
        "name; `always`, to have the newest behind a tag that moves; `never`, where it is put there by other means.",
    )
    default: bool = Field(False, description="Whether this is the image of a start without a choice.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")
    kernels: tuple[KernelName, ...] = Field(
        (), description="The kernels it has, by their names; `stateroom images check` compares them."
    )
    hidden: bool = Field(
        False, description="Left out of the form; whoever used it last, or knows its id, may start it."
    )
    deprecated: str = Field(
        "", description="Why and until when, shown on the form. It can still be started.", max_length=500
    )
    replaced_by: Id | None = Field(
        None,
        description="The image that takes its place. Without `deprecated` it can no longer be started: "
        "whoever used it last gets the other one and is told.",
    )

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @property
    def retired(self) -> bool:
        """Whether another image has taken its place."""
        return self.replaced_by is not None and not self.deprecated

    @field_validator("image")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if re.search(r"\s", value) or not value.isprintable():
            raise ValueError(f"{quoted(value)} is not an image reference; it holds white space")
        return value


class Size(Model):
    """A named amount of CPU, memory and GPUs."""

    id: Id = Field(description=f"Short name, unique among the sizes, not {CUSTOM!r}.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One sentence for the form.", max_length=2000)
    cpu: Cpu = Field(description="Cores, such as 0.5 or 500m.")
    memory: Memory = Field(description="Memory with its unit, such as 2 GiB.")
    gpu: Count = Field(0, description="Whole GPUs.")
    default: bool = Field(False, description="Whether this is the size of a start without a choice.")
    images: tuple[Id, ...] = Field((), description="Only together with these images; with all if left out.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @property
    def resources(self) -> Resources:
        """What a server of this size has."""
        return Resources(self.cpu, self.memory, self.gpu)

    @field_validator("id")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value == CUSTOM:
            raise ValueError(f'"{CUSTOM}" is kept for CPU and memory that users choose themselves; rename this size')
        return value


class CpuRange(Model):
    """The CPU that users may choose."""

    min: Cpu = Field(description="The least.")
    max: Cpu = Field(description="The most.")
    step: Cpu = Field(description="Only min plus whole steps are offered.")

    @model_validator(mode="after")
    def _makes_sense(self) -> CpuRange:
        _check_range(self.min, self.max, self.step, format_cpu)
        return self


class MemoryRange(Model):
    """The memory that users may choose."""

    min: Memory = Field(description="The least.")
    max: Memory = Field(description="The most.")
    step: MemoryStep = Field(description="Only min plus whole steps are offered.")

    @model_validator(mode="after")
    def _makes_sense(self) -> MemoryRange:
        _check_range(self.min, self.max, self.step, format_memory)
        return self


class GpuRange(Model):
    """The number of GPUs that users may choose."""

    min: Count = Field(0, description="The least.")
    max: Count = Field(description="The most.")

    @property
    def step(self) -> int:
        """GPUs are whole."""
        return 1

    @model_validator(mode="after")
    def _makes_sense(self) -> GpuRange:
        _check_range(self.min, self.max, self.step, str)
        return self


class Custom(Model):
    """The ranges in which users choose CPU, memory and GPUs themselves."""

    cpu: CpuRange = Field(description="The range of CPU.")
    memory: MemoryRange = Field(description="The range of memory.")
    gpu: GpuRange | None = Field(None, description="The range of GPUs; without it custom servers have none.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")


class CpuLimits(Model):
    """Other ends of the range of CPU, whole steps away from the catalog's."""

    min: Cpu | None = Field(None, description="The least.")
    max: Cpu | None = Field(None, description="The most.")


class MemoryLimits(Model):
    """Other ends of the range of memory, whole steps away from the catalog's."""

    min: Memory | None = Field(None, description="The least.")
    max: Memory | None = Field(None, description="The most.")


class GpuLimits(Model):
    """Other ends of the range of GPUs."""

    min: Count | None = Field(None, description="The least.")
    max: Count | None = Field(None, description="The most.")


class CustomLimits(Model):
    """Where the ranges of `custom` end for some people."""

    cpu: CpuLimits = Field(default_factory=CpuLimits, description="The range of CPU.")
    memory: MemoryLimits = Field(default_factory=MemoryLimits, description="The range of memory.")
    gpu: GpuLimits = Field(default_factory=GpuLimits, description="The range of GPUs.")


class Quota(Model):
    """What may run at once. What is left out is not limited."""

    servers: AtLeastOne | None = Field(None, description="Servers.")
    cpu: Cpu | None = Field(None, description="CPU of all of them.")
    memory: Memory | None = Field(None, description="Memory of all of them.")
    gpu: Count | None = Field(None, description="GPUs of all of them.")


class Identity(Model):
    """What servers are given because of who starts them."""

    environment: Variables = Field(default_factory=dict, description="Variables, beside the catalog's own.")
    supplemental_groups: tuple[GroupId, ...] = Field(
        (), description="Numbers of further groups of the server's processes, for shared file systems."
    )
    service_account: DnsLabel | None = Field(None, description="The service account of the pod, on Kubernetes.")
    service_account_token: bool = Field(
        False, description="Whether the pod gets the account's token for the cluster's own API. Few servers need one."
    )
    network: NetworkName | None = Field(
        None, description="The network of the servers, on Docker; made when the hub starts if it is not there."
    )


class Group(Model):
    """What members of one of the hub's groups have beyond everyone's."""

    custom: CustomLimits = Field(default_factory=CustomLimits, description="Wider ends for the ranges of `custom`.")
    quota: Quota = Field(default_factory=Quota, description="What each member may run at once.")
    total: Quota = Field(default_factory=Quota, description="What all members together may run at once.")
    identity: Identity = Field(default_factory=Identity, description="What servers of members are given.")


class User(Model):
    """What holds for one user, whatever everyone or a group has."""

    custom: CustomLimits = Field(default_factory=CustomLimits, description="Ends for the ranges of `custom`.")
    quota: Quota = Field(default_factory=Quota, description="What this user may run at once.")
    identity: Identity = Field(default_factory=Identity, description="What this user's servers are given.")


class Reserve(Model):
    """The share of a server's limits that is kept free for it."""

    cpu: Share = Field(0.25, description="Of the CPU: what it gets when all servers compute at once.")
    memory: Share = Field(1.0, description="Of the memory.")

    def of_memory(self, amount: int) -> int:
        """How much of a server's memory is kept free for it."""
        return int(amount * self.memory)


class DockerHome(Model):
    """Where homes are on Docker: a volume each, or a folder each below `path`."""

    volume: Literal["per-user"] | None = Field(None, description="`per-user`: a named volume for each user.")
    path: str | None = Field(None, description="A host folder; each user gets a folder in it.")

    @model_validator(mode="after")
    def _one_of_two(self) -> DockerHome:
        if self.volume and self.path:
            raise ValueError("names a volume and a path; keep one of the two")
        if self.path is not None and not PurePosixPath(self.path).is_absolute():
            raise ValueError(f"{quoted(self.path)} is not an absolute path; write it from the root, like /srv/homes")
        if self.path is not None and (":" in self.path or ".." in PurePosixPath(self.path).parts):
            raise ValueError(f"{quoted(self.path)} holds ':' or '..'; write a plain path like /srv/homes")
        return self


class KubernetesHome(Model):
    """Where homes are on Kubernetes: a claim each, or a folder each in one shared claim."""

    claim: DnsLabel = Field("per-user", description="`per-user`, or the name of one claim that all share.")
    size: Memory = Field(
        10 * GiB,
        description="How much a claim of a user's own holds. A larger size makes the claims that are there grow.",
    )
    storage_class: DnsName | None = Field(
        None, description="The storage class of new claims; the cluster's default if left out."
    )
    access: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        "ReadWriteOnce",
        description="How new claims of users' own are mounted. With `ReadWriteOnce` all servers of a user run on one "
        "node.",
    )

    @property
    def shared(self) -> str:
        """The name of the claim that all share, "" where each user has one."""
        return "" if self.claim == "per-user" else self.claim


class Home(Model):
    """Users' storage. It outlives every container."""

    mount: str = Field("notebooks", description="The folder below the image user's home directory.")
    when_user_is_deleted: Literal["keep", "delete"] = Field(
        "keep", description="What becomes of the home of a user whom the hub deletes."
    )
    docker: DockerHome = Field(default_factory=DockerHome, description="Where homes are on Docker.")
    kubernetes: KubernetesHome = Field(default_factory=KubernetesHome, description="Where homes are on Kubernetes.")

    @field_validator("mount")
    @classmethod
    def _stays_below_home(cls, value: str) -> str:
        parts = PurePosixPath(value).parts
        if not parts or value.startswith("/") or any(part in {"..", "."} for part in value.split("/")):
            raise ValueError(f"{quoted(value)} is not a folder below the home directory; write for example notebooks")
        return str(PurePosixPath(value))

    @model_validator(mode="after")
    def _only_volumes_are_deleted(self) -> Home:
        if self.when_user_is_deleted == "delete" and self.docker.path:
            raise ValueError(
                "when_user_is_deleted: delete is for volumes; Stateroom deletes no host folders, write keep"
            )
        return self


class Start(Model):
    """How long a start may take."""

    timeout: Duration = Field(120.0, description="From Start to an answering server, pulling apart.", gt=0)
    pull_timeout: Duration = Field(1200.0, description="For pulling an image that is not there yet.", gt=0)


class Idle(Model):
    """What becomes of servers that nobody uses."""

    stop_after: IdleTime | None = Field(
        None, description="Stop a server after this time without use; a busy kernel is use. Never if left out."
    )


class Capacity(Model):
    """How much of the machine servers may be promised. Docker itself would take any number of them."""

    memory: CapacityShare = Field(
        0.9,
        description="The share of the machine's memory that all servers of the hub together may reserve. "
        "Above 1 the same memory is promised more than once.",
    )


class DockerSettings(Model):
    """What only Docker knows."""

    network: NetworkName | None = Field(
        None, description="An existing network for the servers; made by Stateroom if left out."
    )
    capacity: Capacity = Field(default_factory=Capacity, description="How much of the machine servers may be promised.")


class Toleration(Model):
    """A taint of nodes that servers may run on all the same."""

    key: str = Field(description="The taint's key.", min_length=1)
    operator: Literal["Exists", "Equal"] = Field("Exists", description="How the taint is compared.")
    value: str = Field("", description="The taint's value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect; every effect if left out."
    )


class KubernetesUser(Model):
    """The user of the images, as whom servers run. A cluster cannot be asked what an image says."""

    id: GroupId = Field(1000, description="The user's number.")
    group: GroupId = Field(100, description="The number of the group that homes are given to.")
    home: str = Field("/home/jovyan", description="The user's home directory, with the users' storage below it.")

    @field_validator("home")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        parts = PurePosixPath(value).parts
        if not value.startswith("/") or len(parts) < 2 or ".." in parts or ":" in value:  # noqa: PLR2004 - the root alone
            raise ValueError(f"{quoted(value)} is not a home directory; write it from the root, like /home/jovyan")
        return value.rstrip("/")


class KubernetesSettings(Model):
    """What only Kubernetes knows."""

    namespace: DnsLabel | None = Field(None, description="The namespace of the servers; the hub's own if left out.")
    user: KubernetesUser = Field(default_factory=KubernetesUser, description="The user of the images.")
    node_selector: Annotated[dict[str, str], _MayBeEmpty] = Field(
        default_factory=dict, description="Labels of the nodes that servers run on."
    )
    tolerations: tuple[Toleration, ...] = Field((), description="Taints of nodes that servers may run on.")
    priority_class: DnsName | None = Field(None, description="The priority class of servers.")
    pull_secrets: tuple[DnsName, ...] = Field((), description="Secrets for pulling images.")
    gpu_resource: str = Field(
        "nvidia.com/gpu", description="What the cluster calls a GPU.", pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$"
    )
    ephemeral_storage: Memory | None = Field(
        None, description="How much a server may write outside its home; not limited if left out."
    )
    autoscaler_timeout: Duration | None = Field(
        None,
        description="How long a start waits for an autoscaler to bring a node with room. Without it, a server that no "
        "node has room for is refused within seconds.",
    )
    pod: Annotated[dict[str, Any], _MayBeEmpty] = Field(
        default_factory=dict,
        description="What only your cluster needs in each server's pod, such as affinity, sidecars or further volumes: "
        "a strategic merge patch. The server's own container is called `notebook`.",
    )


class Catalog(Model):
    """The whole file."""

    version: Annotated[int, BeforeValidator(_parse_version), WithJsonSchema({"const": 1})] = Field(
        description="The format's version: 1."
    )
    hub: Id | None = Field(None, description="The hub's id in names and labels; made once if left out.")
    images: tuple[Image, ...] = Field(description="The images; one of them the default.")
    sizes: tuple[Size, ...] = Field(description="The sizes; one of them the default.")
    custom: Custom | None = Field(
        None, description="Ranges for CPU, memory and GPUs; without it only the sizes are offered."
    )
    reserve: Reserve = Field(
        default_factory=Reserve, description="The share of a server's limits that is kept free for it."
    )
    quota: Quota = Field(default_factory=Quota, description="What one user may run at once, over all servers.")
    groups: Annotated[dict[Name, Group], _MayBeEmpty] = Field(
        default_factory=dict, description="The hub's groups that have more than others."
    )
    users: Annotated[dict[Name, User], _MayBeEmpty] = Field(
        default_factory=dict, description="Single users for whom something else holds; these words beat the groups'."
    )
    home: Home = Field(default_factory=Home, description="Users' storage.")
    environment: Variables = Field(default_factory=dict, description="Variables for every server, as they are written.")
    start: Start = Field(default_factory=Start, description="How long a start may take.")
    idle: Idle = Field(default_factory=Idle, description="What becomes of servers that nobody uses.")
    docker: DockerSettings = Field(default_factory=DockerSettings, description="What only Docker knows.")
    kubernetes: KubernetesSettings = Field(
        default_factory=KubernetesSettings, description="What only Kubernetes knows."
    )

    @field_validator("images", "sizes")
    @classmethod
    def _not_empty(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        if not entries:
            raise ValueError("is empty; list at least one entry")
        return entries

    @property
    def default_image(self) -> Image:
        """The image of a start without a choice."""
        return next(image for image in self.images if image.default)

    @property
    def default_size(self) -> Size:
        """The size of a start without a choice."""
        return next(size for size in self.sizes if size.default)


def _check_range(least: int, most: int, step: int, spelled: Callable[[int], str]) -> None:
    if most < least:
        raise ValueError(f"max ({spelled(most)}) is below min ({spelled(least)})")
    if (most - least) % step:
        reached = most - (most - least) % step
        raise ValueError(
            f"max ({spelled(most)}) is not min plus whole steps of {spelled(step)}; "
            f"write {spelled(reached)} or {spelled(reached + step)}"
        )
