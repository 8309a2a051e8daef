"""What an engine says, as cause and remedy for the person who waits: a table.

An engine's own words are written for its administrators, differ between its
versions, and hold addresses that are nobody else's business. The first row
whose words are found tells the sentence; what no row knows is told in the
engine's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stateroom.backends.base import Life, ServerState
from stateroom.common.errors import OutOfMemory, ServerEnded
from stateroom.common.quantity import format_memory
from stateroom.common.text import clipped, printable
from stateroom.storage.assignments import assign_command, new_command
from stateroom.storage.homes import HomeRef
from stateroom.workloads.server import Server

_MOST_READ = 4000  # letters of what an engine says; the cause comes early, and a pattern has no end otherwise
_MOST_QUOTED = 120
_MOST_SHOWN = 400  # letters of a log that are shown


class Trouble(NamedTuple):
    """Words that an engine uses, and the sentence for them.

    `{image}` in it is the image's name, and `{any}` what a group of the words, `(?P<any>...)`, has found.
    """

    words: str
    sentence: str


_TELL_ADMIN = "tell an administrator"

# The disk is full wherever the words come up.
_FULL = Trouble(
    "no space left on device|disk quota exceeded",
    "The disk of the machine that runs servers is full. Try again later, and " + _TELL_ADMIN + ".",
)

# What no second try mends.
NOT_THERE = Trouble(
    "manifest unknown|not found|does not exist|name unknown",
    'The registry has no image "{image}". Choose another image, and tell an administrator: the catalog names one '
    "that is not there.",
)

PULL = (
    _FULL,
    Trouble(
        "pull policy of Never",
        'The image "{image}" is not on the node, and the catalog says never to fetch it. '
        "Choose another image, and tell an administrator.",
    ),
    Trouble(
        "invalid reference format|invalid tag format",
        '"{image}" is no name of an image. Choose another one, and tell an administrator to correct the catalog.',
    ),
    Trouble(
        "credentials? store|docker-credential-",
        'The logins for registries cannot be read here, so "{image}" cannot be fetched. Choose another image, and tell '
        "an administrator.",
    ),
    Trouble(
        "toomanyrequests|too many requests|rate limit",
        'The registry of "{image}" gives out no more for now, since too many images were fetched from it. '
        "Try again later; if it stays so, tell an administrator.",
    ),
    Trouble(
        "no match(?:ing manifest)? for",
        '"{image}" is made for another kind of machine. Choose another image, and tell an administrator.',
    ),
    Trouble(
        "unauthorized|authentication required|no basic auth|pull access denied|denied: |authorization failed"
        "|403 Forbidden",
        'The registry does not give out "{image}" without a login. Choose another image, and tell an administrator, '
        "who can log the engine in.",
    ),
    NOT_THERE,
    Trouble(
        "connection refused|no such host|timeout|timed out|server misbehaving|network is unreachable|no route to host"
        "|x509|tls: |deadline exceeded|connection reset|\\bEOF\\b|Client.Timeout|50[0234] |gave HTTP response",
        'The registry of "{image}" cannot be reached. Try again in some minutes, or choose another image; '
        "if it stays so, tell an administrator.",
    ),
)

START = (
    _FULL,
    Trouble(
        "no available (?:IPv4 )?address|could not find an available|address pool|no available network",
        "All addresses of the servers' network are in use. Try again later, and tell an administrator: "
        "the network must be larger, or servers be stopped.",
    ),
    Trouble(
        r"network \S+ not found",
        "The servers' network was removed while your server was being started. Start again.",
    ),
    Trouble(
        "port is already allocated|address already in use",
        "A port that the server needs is in use by another program. Tell an administrator.",
    ),
    Trouble(
        "executable file not found|exec: .*(?:no such file|not found|permission denied)|exec format error",
        'The image "{image}" cannot be started: its command is missing, or made for another kind of machine. '
        "Choose another image, and tell an administrator.",
    ),
    Trouble(
        "minimum memory limit|memory limit .*(?:low|small)|unable to set memory limit",
        "The memory that you chose is too little for a container to start at all. Choose more.",
    ),
    Trouble(
        "bind source path does not exist|error while mounting|error mounting|failed to mount|permission denied.*mount",
        "Your home could not be mounted. It was left as it is; " + _TELL_ADMIN + ".",
    ),
    Trouble(
        "could not select device driver|nvidia-container-cli|unknown or invalid runtime",
        "This machine has no GPU to give, or lacks the toolkit for it. Choose a size without GPUs, and "
        + _TELL_ADMIN
        + ".",
    ),
    Trouble(
        "no such image",
        'The image "{image}" is no longer on the machine. Start again to have it fetched.',
    ),
)


_NO_ROOM = "Choose a smaller size or try again later; if it stays so, tell an administrator."

# What a cluster answers to the making of a pod, claim or Secret.
ADMISSION = (
    Trouble(
        r"exceeded quota: [^,]+, requested: (?P<asked>\S+?), used: (?P<used>\S+?), limited: (?P<limit>[^\s\]]+?)"
        r"(?:,\s|[\s\]]|$)",
        "The cluster's quota for servers is used up: {used} of {limit} is in use, and yours would take {asked}. "
        "Stop a server that is not needed, choose a smaller size, or tell an administrator.",
    ),
    Trouble(
        "exceeded quota|failed quota",
        "The cluster's quota for servers does not allow this one. Stop a server that is not needed, choose a smaller "
        "size, or tell an administrator.",
    ),
    Trouble(
        r"(?P<rule>(?:maximum|minimum) storage usage per PersistentVolumeClaim is [\w.]*\w)",
        "The cluster has a rule that homes of the catalog's size break: {rule}. Tell an administrator.",
    ),
    Trouble(
        r"(?P<rule>(?:(?:maximum|minimum) (?:cpu|memory|ephemeral-storage) usage"
        r"|(?:cpu|memory|ephemeral-storage) max limit to request ratio) per (?:Container|Pod) is [\w.]*\w)",
        "The cluster has a rule that this size breaks: {rule}. Choose another size, or tell an administrator.",
    ),
    Trouble(
        "violates PodSecurity",
        "The cluster's security rules do not admit servers as the catalog has them. Tell an administrator.",
    ),
    Trouble(
        r"(?:admission webhook \S+ denied the request|ValidatingAdmissionPolicy \S+ with binding \S+ denied request): "
        r"(?P<why>[^\n]+?)\.?\s*(?:\n|$)",
        "A rule of the cluster refused the server: {why}. Tell an administrator.",
    ),
    Trouble(
        r"serviceaccount \S+ not found",
        "The service account that the catalog gives your servers is not in the cluster. Tell an administrator.",
    ),
    Trouble(
        r"no PriorityClass with name (?P<name>\S+)",
        "The catalog's priority class {name} is not in the cluster. Tell an administrator.",
    ),
    Trouble(
        r"namespaces? \S+ (?:not found|.*being terminated)",
        "The cluster has no namespace for servers, or is removing it. Tell an administrator.",
    ),
    Trouble(
        r"cannot (?P<verb>\w+) resource \W*(?P<kind>\w+)",
        "The hub's account may not {verb} {kind} in the cluster. Tell an administrator: `stateroom doctor` shows what "
        "it needs.",
    ),
)

# Why no node takes a pod. A cluster's message counts its nodes by their reasons.
SCHEDULING = (
    Trouble(
        r'persistentvolumeclaim "(?P<claim>[^"]+)" not found',
        "The storage for your home, the claim {claim}, is not in the cluster. Tell an administrator.",
    ),
    Trouble(
        "unbound immediate PersistentVolumeClaims|storageclass .* not found|no persistent volumes available"
        "|available persistent volumes to bind|enough free storage|provisioning failed|binding volumes",
        "The cluster has no storage for your home. Tell an administrator: its storage class must be there and have "
        "room.",
    ),
    Trouble(
        "volume node affinity conflict|exceed max volume count",
        "No node with room can reach your home. Try again later, and tell an administrator.",
    ),
    Trouble(
        "pod affinity rules",
        "Your home is in use on a node that has no room for another server. Stop your other server, or choose a "
        "smaller size.",
    ),
    Trouble(
        r"Insufficient (?P<what>nvidia\.com/gpu|[\w.-]+/gpu)",
        "All GPUs of the cluster are in use, or there is none. Choose a size without GPUs, or try again later.",
    ),
    Trouble(
        r"Insufficient (?P<what>[\w/-]+(?:\.[\w/-]+)*)",
        "No node of the cluster has enough {what} free for this size. " + _NO_ROOM,
    ),
    Trouble("Too many pods", "The nodes of the cluster are full. " + _NO_ROOM),
    Trouble(
        r"were unschedulable|taint \{node\.kubernetes\.io/",
        "Nodes of the cluster are out of order, or were taken out of use. Try again later, and tell an administrator.",
    ),
    Trouble(
        r"untolerated taint\(s\)",  # Kubernetes 1.34 does not say which any more
        "No node of the cluster takes your server: its nodes are out of order, or not meant for servers as the catalog "
        "has them. Try again later, and tell an administrator: tolerations must fit its nodes.",
    ),
    Trouble(
        r"untolerated taint|node affinity/selector|didn't match",
        "No node of the cluster is meant for servers as the catalog has them. Tell an administrator: node_selector and "
        "tolerations must fit its nodes.",
    ),
    Trouble("no nodes available|0/0 nodes", "The cluster has no node. Tell an administrator."),
)

# What a site's own words for the pod can name in vain.
_MISSING = "Something that the catalog's pod needs, {name}, is not in the cluster. Tell an administrator."
_NOT_THERE = (
    Trouble(r"(?:configmaps?|secrets?) \"?(?P<name>[\w.-]+)\"? not found", _MISSING),
    Trouble(
        r"couldn't find key (?P<name>\S+) in|non-existent (?:config|secret) key: (?P<key>[\w.-]+)",
        _MISSING.replace("{name}", "{name}{key}"),
    ),
)

# Why a node cannot mount what a pod wants.
MOUNTING = (
    _FULL,
    Trouble(
        "Multi-Attach error",
        "Your home is still attached to another node, where a server of yours ran. Try again in some minutes.",
    ),
    *_NOT_THERE,
    Trouble(
        "",
        "Your home could not be mounted. It was left as it is; tell an administrator.",
    ),
)

# Why a node cannot make a container.
CREATING = (*_NOT_THERE, *START)

# Why a node cannot begin with a pod at all.
SANDBOX = (
    *START,
    Trouble(
        r"network for (?:pod )?sandbox|plugin type=|\bcni\b|networkPlugin",
        "The node found no place in its network for your server. Try again later, and tell an administrator.",
    ),
    Trouble(
        "",
        "The node could not begin with your server. Try again later, and tell an administrator.",
    ),
)


def diagnosed(said: str, table: tuple[Trouble, ...], image: str) -> str:
    """The sentence for what an engine said, "" where the table knows none."""
    trouble, texts = _first(said, table)
    return _filled(trouble.sentence, {**texts, "image": image}) if trouble else ""


def trouble_of(said: str, table: tuple[Trouble, ...]) -> Trouble | None:
    """The row for what an engine said, None where the table knows none."""
    return _first(said, table)[0]


def _first(said: str, table: tuple[Trouble, ...]) -> tuple[Trouble | None, Mapping[str, str]]:
    for trouble in table:
        if found := re.search(trouble.words, said[:_MOST_READ], re.IGNORECASE):
            return trouble, {name: clipped(text or "", _MOST_QUOTED) for name, text in found.groupdict().items()}
    return None, {}


def _filled(sentence: str, texts: Mapping[str, str]) -> str:
    """All at once, so that a text that looks like a place stays a text."""
    return re.sub(r"\{(\w+)\}", lambda place: texts.get(place[1], place[0]), sentence)


def ended(spec: Server, state: ServerState) -> ServerEnded:
    """The error for a server that ended in its start."""
    if state.life is Life.ABSENT:
        return ServerEnded("The server was removed before it answered.")
    if state.out_of_memory:
        memory = format_memory(spec.container.resources.memory)
        return OutOfMemory(f"The server ran out of its {memory} of memory before it answered. Choose more memory.")
    return ServerEnded(f"The server ended before it answered (exit code {state.exit_code}). {state.reason}".rstrip())


def not_theirs(kind: str, home: HomeRef, found: HomeRef | None) -> str:
    """Why a volume or claim is not mounted that has the name of `home` and is the home `found`, or none of this hub."""
    if found is None:
        return (
            f'There is a {kind} "{home.name}" that is no home of this hub. '
            "It was left as it is; an administrator must rename or remove it."
        )
    return (
        f'The home "{home.name}" belongs to the hub\'s user number {found.user_id}, not to {home.user} '
        f"(number {home.user_id}). It was left as it is; an administrator hands it over with "
        f"`{assign_command(found.user, home.user)}`, or gives {home.user} an empty one with `{new_command(home.user)}`."
    )


def last_words(log: str, secrets: Iterable[str]) -> str:
    """A log's end as a sentence: printable, on one line, cut, without the secrets; "" for an empty log."""
    for secret in secrets:
        log = log.replace(secret, "***")
    lines = (printable(line).strip() for line in log.splitlines())
    shown = clipped(" / ".join(line for line in lines if line), _MOST_SHOWN, keep_end=True)
    return f'It last wrote: "{shown}"' if shown else ""
