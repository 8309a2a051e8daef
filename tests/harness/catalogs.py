"""Catalogs, people, and what they may ask for, as hypothesis makes them up.

`catalogs` makes catalogs that hold, as plain data as YAML has it, with every
part of the format in some of them. `mutated` and `texts` make such that mostly
do not.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import yaml
from hypothesis import strategies as st

from harness.hostile import HOSTILE
from stateroom.common.quantity import MiB, parse_cpu, parse_memory
from stateroom.offers.allowance import Person

Data = dict[str, Any]

GROUPS = ("research", "Größe", "010", "a b")
USERS = ("ada", "eve@example.org", "0x10")
STRANGERS = ("carl", "Zoë")  # who have no entry of their own

_SENSIBLE: tuple[tuple[str, ...], ...] = (
    ("image", "cpu", "memory", "gpu"), ("cpu", "memory"), ("cpu",), ("memory",), ("gpu",), ("cpu", "memory", "gpu"),
    ("image", "size"), ("image", "size"), ("image", "size"), ("size",), ("image",), (),
)  # fmt: skip
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ENDS = ("min", "max", "step")
_IDS = ("unified", "classic", "cuda", "a", "0", "1e3", "no", "x.y-z_0", "long" * 15)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_LEAST_CPU, _LEAST_MEMORY = 10, 64 * MiB

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(HOSTILE)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def catalogs(draw: st.DrawFn) -> Data:
    """Plain data of a catalog that holds."""
    groups = tuple(draw(_some(GROUPS)))
    images = draw(_images(groups))
    custom = draw(_custom()) if draw(st.integers(0, 3)) else None
    sizes = draw(_sizes(groups, [image["id"] for image in images], custom))
    needed = _amounts_of(next(size for size in sizes if size.get("default")))
    quota = draw(_quotas(needed))
    data: Data = {"version": draw(st.sampled_from([1, "1"])), "images": images, "sizes": [*map(_spelled_size, sizes)]}
    sections: Data = {
        "custom": _spelled_custom(custom) | draw(st.just({}) | _audience(groups)) if custom else None,
        "quota": _spelled_quota(quota),
        "groups": {name: draw(_group(custom, quota, needed)) for name in groups},
        "users": {name: draw(_user(custom, needed)) for name in draw(_some(USERS))},
        "hub": draw(st.none() | st.sampled_from(_IDS)),
        "environment": draw(_variables()),
        **draw(_other_sections()),
    }
    data |= {name: section for name, section in sections.items() if section or draw(st.booleans())}
    return data


def people(*, strangers: bool = False) -> st.SearchStrategy[Person]:
    """Anyone; with `strangers` only those for whom the catalog has no entry."""
    names = STRANGERS if strangers else (*USERS, *STRANGERS)
    return st.builds(Person, st.sampled_from(names), _some((*GROUPS, "unknown to the catalog")).map(frozenset))


@st.composite
def options(draw: st.DrawFn, data: Data) -> Data:
    """What somebody may send who knows the catalog well, or not at all."""
    custom = data.get("custom") or {"cpu": dict.fromkeys(_ENDS, 1), "memory": dict.fromkeys(_ENDS, "1 GiB")}
    words = {
        "image": st.sampled_from([image["id"] for image in data["images"]]),
        "size": st.sampled_from([*(size["id"] for size in data["sizes"]), "custom"]),
        "cpu": _near_steps("cpu", *(parse_cpu(custom["cpu"][end]) for end in _ENDS)),
        "memory": _near_steps("memory", *(parse_memory(custom["memory"][end]) for end in _ENDS)),
        "gpu": st.integers(-1, 6) | st.integers(0, 4).map(str),
    }
    keys = draw(
        st.sampled_from(_SENSIBLE)
        | st.lists(st.sampled_from([*words, "profile", "Image", ""]), unique=True, max_size=5)
    )
    return {key: draw(words[key] if key in words and draw(st.integers(0, 9)) < 9 else ANYTHING) for key in keys}


@st.composite
def _near_steps(draw: st.DrawFn, kind: str, least: int, most: int, step: int) -> Any:
    """Mostly one of the steps that everyone has, else one that a group may have or none."""
    steps = draw(st.integers(0, (most - least) // step) | st.integers(-1, 20))
    return _spelled(kind, max(0, least + steps * step + draw(st.sampled_from([0, 0, 0, 0, 1]))))


@st.composite
def mutated(draw: st.DrawFn) -> Data:
    """A catalog with a value replaced, a key renamed or removed, some times over."""
    data = copy.deepcopy(draw(catalogs()))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(_places(data)[::-1]))
        match draw(st.sampled_from(["replace", "rename", "remove", "swap"])):
            case "replace":
                holder[key] = draw(ANYTHING)
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from([f"{key}s", key[1:], key.upper(), "", "<<", "x" * 100, "\x1b[31m"]))] = (
                    holder.pop(key)
                )
            case "swap":
                other, place = draw(st.sampled_from(_places(data)))
                holder[key] = copy.deepcopy(other[place])
            case _:
                del holder[key]
        if not data:
            break
    return data


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A catalog's text with lines written twice, moved or lost, and letters where none belong."""
    lines = written(draw(catalogs()), flow=draw(st.booleans())).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = len(lines) - draw(st.integers(1, len(lines)))
        match draw(st.sampled_from(["repeat", "drop", "indent", "insert"])):
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), lines[place])
            case "drop" if len(lines) > 1:
                del lines[place]
            case "indent":
                lines[place] = f"  {lines[place]}"
            case _:
                cut = draw(st.integers(0, len(lines[place])))
                piece = draw(st.sampled_from([*"[]{}:,&*!|>'\"%@`#?-~\t\0", "<<: *a", "&a ", "!!int ", ": ", "- "]))
                lines[place] = lines[place][:cut] + piece + lines[place][cut:]
    return "\n".join(lines)


def written(data: Any, *, flow: bool = False) -> str:
    """Data as YAML."""
    settings: Data = {"sort_keys": False, "default_flow_style": flow or None}
    try:
        return str(yaml.dump(data, Dumper=_Dumper, **settings))
    except UnicodeEncodeError:  # half a character, which only PyYAML's slow half writes
        return str(yaml.safe_dump(data, **settings))


def _places(data: Any) -> Sequence[tuple[Any, Any]]:
    """Every value within, as what holds it and its key or index."""
    if isinstance(data, dict):
        keys: list[Any] = list(data)
    else:
        keys = list(range(len(data))) if isinstance(data, list) else []
    return [place for key in keys for place in [(data, key), *_places(data[key])]]


# Parts. Amounts are kept as whole numbers until they are spelled, so that they can be compared.


@st.composite
def _images(draw: st.DrawFn, groups: tuple[str, ...]) -> list[Data]:
    images: list[Data] = []
    for name in draw(_ids(5)):
        image = {"id": name, "image": draw(st.sampled_from(["x", "stateroom/unified:1", "example.org/a/b@sha256:0"]))}
        image |= draw(_words())
        if draw(st.booleans()):
            image["deprecated"] = draw(_TEXTS)
        if images:
            image |= draw(_audience(groups)) | {"hidden": draw(st.booleans())}
            if draw(st.booleans()):  # by one before it, so that no image comes to replace itself
                image["replaced_by"] = draw(st.sampled_from([other["id"] for other in images]))
        images.append(image)
    images[0]["default"] = draw(st.sampled_from([True, "yes"]))
    return draw(st.permutations(images))


@st.composite
def _sizes(draw: st.DrawFn, groups: tuple[str, ...], images: list[str], custom: dict[str, _Range] | None) -> list[Data]:
    sizes: list[Data] = []
    for name in draw(_ids(4)):
        size = {"id": name, "cpu": draw(_cpu(8000)), "memory": draw(_memory(16 * 1024))} | draw(_words())
        if draw(st.booleans()):
            size["gpu"] = draw(st.integers(0, 4))
        if sizes:
            size |= draw(_audience(groups))
            if draw(st.booleans()):
                size["images"] = draw(_some(tuple(images)))
        sizes.append(size)
    sizes[0]["default"] = True
    if custom and draw(st.booleans()):  # at a step, so that one amount alone makes a custom choice
        sizes[0] |= {kind: custom[kind].min + draw(st.integers(0, 2)) * custom[kind].step for kind in ("cpu", "memory")}
    return draw(st.permutations(sizes))


@cache
def _some(words: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Each of them as likely as not."""
    return st.integers(0, 2 ** len(words) - 1).map(
        lambda bits: [word for place, word in enumerate(words) if bits >> place & 1]
    )


@cache
def _ids(most: int) -> st.SearchStrategy[list[str]]:
    """Few as often as many."""
    return st.integers(1, most).flatmap(
        lambda number: st.lists(st.sampled_from(_IDS), unique=True, min_size=number, max_size=number)
    )


@cache
def _words() -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries({}, optional={"title": _TEXTS, "description": _TEXTS})


@cache
def _audience(groups: tuple[str, ...]) -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries({}, optional={"groups": _some(groups), "users": _some((*USERS, *STRANGERS))})


@cache
def _variables() -> st.SearchStrategy[Data]:
    values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
    return st.dictionaries(st.sampled_from(["LANG", "TEAM", "_x", "A1"]), values | st.integers() | st.booleans())


def _cpu(most: int) -> st.SearchStrategy[int]:
    return st.integers(_LEAST_CPU, most)


def _memory(most: int) -> st.SearchStrategy[int]:
    """Bytes, mostly whole MiB."""
    return st.integers(64, most).map(lambda amount: amount * MiB) | st.integers(_LEAST_MEMORY, most * MiB)


class _Range:
    """Least, most and step of one kind."""

    def __init__(self, least: int, step: int, steps: int) -> None:
        self.min, self.step, self.max = least, step, least + step * steps

    def steps_down(self, least: int) -> int:
        return max(0, (self.min - least) // self.step)


@st.composite
def _custom(draw: st.DrawFn) -> dict[str, _Range]:
    steps = st.integers(0, 12)
    ranges = {
        "cpu": _Range(draw(_cpu(2000)), draw(st.integers(10, 1000)), draw(steps)),
        "memory": _Range(draw(_memory(2048)), draw(st.integers(1, 1024)) * MiB, draw(steps)),
    }
    if draw(st.booleans()):
        ranges["gpu"] = _Range(draw(st.integers(0, 2)), 1, draw(st.integers(0, 3)))
    return ranges


def _amounts_of(size: Data) -> dict[str, int]:
    return {"servers": 1, "cpu": size["cpu"], "memory": size["memory"], "gpu": size.get("gpu", 0)}


@st.composite
def _quotas(draw: st.DrawFn, least: dict[str, int]) -> dict[str, int]:
    """Limits of some kinds, each at least this much."""
    more = {"servers": 5, "cpu": 32_000, "memory": 64 * 1024 * MiB, "gpu": 8}
    return {kind: amount + draw(st.integers(0, more[kind])) for kind, amount in least.items() if draw(st.booleans())}


@st.composite
def _group(draw: st.DrawFn, custom: dict[str, _Range] | None, quota: dict[str, int], needed: dict[str, int]) -> Data:
    ends: Data = {}
    least = {"cpu": _LEAST_CPU, "memory": _LEAST_MEMORY, "gpu": 0}
    for kind, offered in (custom or {}).items():
        down = draw(st.integers(0, min(3, offered.steps_down(least[kind]))))
        wider = {"min": offered.min - down * offered.step, "max": offered.max + draw(st.integers(0, 6)) * offered.step}
        ends[kind] = {key: _spelled(kind, end) for key, end in wider.items() if draw(st.booleans())}
    data = {
        "custom": ends,
        "quota": _spelled_quota(draw(_quotas(quota))),
        "total": _spelled_quota(draw(_quotas(needed))),
        "identity": draw(_identity()),
    }
    return {key: part for key, part in data.items() if part or draw(st.booleans())}


@st.composite
def _user(draw: st.DrawFn, custom: dict[str, _Range] | None, needed: dict[str, int]) -> Data:
    ends: Data = {}
    for kind, offered in (custom or {}).items():
        low, high = sorted(draw(st.tuples(st.integers(0, 20), st.integers(0, 20))))
        own = {"min": offered.min + low * offered.step, "max": offered.min + high * offered.step}
        # Not the least alone, which may lie beyond the most that everyone has.
        keys = draw(st.sampled_from([("min", "max"), ("max",), ()]))
        ends[kind] = {key: _spelled(kind, own[key]) for key in keys}
    data = {"custom": ends, "quota": _spelled_quota(draw(_quotas(needed))), "identity": draw(_identity())}
    return {key: part for key, part in data.items() if part or draw(st.booleans())}


@cache
def _identity() -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries(
        {},
        optional={
            "environment": _variables(),
            "supplemental_groups": st.lists(st.integers(1, 2**31 - 1), max_size=3),
            "service_account": st.none() | st.sampled_from(["research", "a-b-0"]),
            "network": st.none() | st.sampled_from(["research", "Lab_2.x"]),
        },
    )


@cache
def _other_sections() -> st.SearchStrategy[Data]:
    share = st.sampled_from([1, 1.0, 0.25, "0.0001", 0.123456, ".5"])
    times = st.sampled_from(["90 s", "1.5 min", "8h", "123456.789 s", "0.123456789 h", "999999998.999999999 s"])
    homes = [
        {},
        {"docker": {"volume": "per-user"}},
        {"docker": {"path": "/srv/homes"}, "mount": "a/b"},
        {"when_user_is_deleted": "delete", "kubernetes": {"claim": "homes", "size": "10 GiB"}},
    ]
    kubernetes = [
        {},
        {"namespace": "jupyter", "node_selector": {"disk": "ssd"}, "pull_secrets": ["registry"]},
        {"tolerations": [{"key": "gpu"}, {"key": "a", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]},
    ]
    return st.fixed_dictionaries(
        {
            "guarantee": st.fixed_dictionaries({}, optional={"cpu": share, "memory": share}),
            "home": st.sampled_from(homes),
            "start": st.fixed_dictionaries({}, optional={"timeout": times, "pull_timeout": times}),
            "idle": st.fixed_dictionaries({}, optional={"stop_after": times}),
            "docker": st.fixed_dictionaries(
                {},
                optional={
                    "network": st.none() | st.just("notebooks"),
                    "capacity": st.fixed_dictionaries(
                        {}, optional={"memory": st.sampled_from([0.9, "2.5", 10, "0.0001"])}
                    ),
                },
            ),
            "kubernetes": st.sampled_from(kubernetes),
        }
    )


def _spelled_size(size: Data) -> Data:
    return {key: _spelled(key, value) if key in {"cpu", "memory", "gpu"} else value for key, value in size.items()}


def _spelled_custom(ranges: dict[str, _Range]) -> Data:
    keys = {"cpu": ("min", "max", "step"), "memory": ("min", "max", "step"), "gpu": ("min", "max")}
    return {
        kind: {key: _spelled(kind, getattr(offered, key)) for key in keys[kind]} for kind, offered in ranges.items()
    }


def _spelled_quota(quota: dict[str, int]) -> Data:
    return {kind: _spelled(kind, amount) for kind, amount in quota.items()}


def _spelled(kind: str, amount: int) -> Any:
    """One of the ways to write an amount, always the same for the same one."""
    if kind == "cpu":
        return [amount / 1000, f"{amount}m", str(amount / 1000)][amount % 3]
    if kind == "memory":
        return f"{amount // MiB} MiB" if amount % MiB == 0 else f"{amount} B"
    return [amount, str(amount)][amount % 2]
