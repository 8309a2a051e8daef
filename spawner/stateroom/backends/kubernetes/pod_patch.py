"""The catalog's own words for a pod (`kubernetes: {pod: ...}`), checked and merged in: pure.

The catalog's scalars are texts. What a text means, and whether there is such a
field at all, the types of the Kubernetes client tell. Lists are merged as
Kubernetes' strategic merge does: by a key of their entries where they have one,
else replaced. `null` takes a field away. What a server of ours cannot be without
stays as it is.

Source of the keys: the `x-kubernetes-patch-merge-key` of the API's own schema.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from posixpath import normpath
from typing import Annotated, Any, Union, get_args, get_origin

from kubernetes.aio.client import V1Pod
from pydantic import BaseModel

from stateroom.catalog.consistency import Fault, Path
from stateroom.common.errors import EngineRefused
from stateroom.common.text import did_you_mean, joined, quoted
from stateroom.common.yaml_source import spelled

_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
    "readinessGates": "conditionType",
}
_BOOLEANS = {"true": True, "false": False}

# What a server is known, reached and held by. A patch that changes it makes no server of ours.
_OUR_PREFIX = "io.stateroom."
_OURS = "is the server's own; leave it out"
_OUR_PLACES: tuple[Path, ...] = (
    *(("pod", key) for key in ("apiVersion", "kind", "status")),
    *(("pod", "metadata", key) for key in ("name", "namespace", "generateName", "ownerReferences", "finalizers")),
)
# A part of a list is known by its key, as in a merge.
_KEPT: Mapping[Path, str] = {
    ("pod", "metadata", "labels"): "takes away by what the server is known",
    ("pod", "metadata", "annotations"): "takes away by what the server is known",
    ("pod", "spec", "restartPolicy"): "is always Never, since the hub starts servers",
    ("pod", "spec", "schedulingGates"): "takes away what holds the server until its variables are there",
    ("pod", "spec", "volumes"): "takes away a volume of the server's own, or puts another in its place",
    ("pod", "spec", "containers", "notebook", "image"): "is what the user has chosen",
    ("pod", "spec", "containers", "notebook", "envFrom"): "takes the server its variables; write others to env",
    ("pod", "spec", "containers", "notebook", "volumeMounts"): "takes the home from its place, or hides it",
}


def faults(patch: Mapping[str, Any], pod: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a patch of this pod: the place, beginning with `pod`, and a sentence."""
    found = [*_unfit(patch, V1Pod, ("pod",)), *_presumed(patch)]
    return found or list(_lost(pod, _merge(pod, _typed(patch, V1Pod)), patch))


def merged(pod: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The pod with the catalog's words in it. Raises EngineRefused where they do not fit."""
    if not patch:
        return dict(pod)
    if found := [f"{spelled(fault.path)} {fault.sentence}" for fault in faults(patch, pod)]:
        raise EngineRefused(
            f"The catalog's kubernetes.pod does not fit: {found[0]}. Tell an administrator.", detail="; ".join(found)
        )
    whole: dict[str, Any] = _merge(pod, _typed(patch, V1Pod))
    return whole


def _presumed(patch: Mapping[str, Any]) -> Iterator[Fault]:
    """What a patch says that is not for it to say."""
    for path in _OUR_PLACES:
        if path[-1] in _mapping_at(patch, path[:-1]):
            yield Fault(path, _OURS)
    for part in ("labels", "annotations"):
        path = ("pod", "metadata", part)
        for name in _mapping_at(patch, path):
            if str(name).startswith(_OUR_PREFIX):
                yield Fault((*path, name), _OURS)


def _lost(pod: Mapping[str, Any], whole: Mapping[str, Any], patch: Mapping[str, Any]) -> Iterator[Fault]:
    """What a server cannot be without, and the patched pod lacks."""
    places: set[Path] = set()
    for path, sentence in _KEPT.items():
        if not _holds(_at({"pod": whole}, path), _at({"pod": pod}, path)):
            place = _place(patch, path)
            if place not in places:
                places.add(place)
                taken = sentence if len(place) == len(path) else "takes away a part of the server's own"
                yield Fault(place, f"{taken}; leave it out")


def _holds(after: Any, before: Any) -> bool:
    """Whether all of a pod's own is there as it was, and nothing lies over it."""
    if isinstance(before, Mapping):
        ours = {name: text for name, text in before.items() if name.startswith(_OUR_PREFIX)}
        return isinstance(after, Mapping) and ours.items() <= after.items()
    if isinstance(before, list) and isinstance(after, list) and "mountPath" in before[0]:
        paths = [normpath(entry["mountPath"]) for entry in after]
        return all(entry in after and paths.count(normpath(entry["mountPath"])) == 1 for entry in before)
    if isinstance(before, list) and isinstance(after, list) and "name" in before[0]:
        return all(entry in after for entry in before)
    return bool(after == before)


def _at(whole: Any, path: Path) -> Any:
    """What is at a place, None if nothing is."""
    for part in path:
        if isinstance(whole, Mapping):
            whole = whole.get(part)
        elif isinstance(whole, Sequence) and not isinstance(whole, str):
            whole = next((entry for entry in whole if isinstance(entry, Mapping) and entry.get("name") == part), None)
        else:
            return None
    return whole


def _mapping_at(patch: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    found = _at({"pod": patch}, path)
    return found if isinstance(found, Mapping) else {}


def _place(patch: Mapping[str, Any], path: Path) -> Path:
    """The place in the patch that decides what becomes of a place in the pod."""
    place: Path = path[:1]
    inner: Any = patch
    for part in path[1:]:
        if isinstance(inner, Mapping) and part in inner:
            place, inner = (*place, part), inner[str(part)]
        elif isinstance(inner, Sequence) and not isinstance(inner, str):
            index = next((index for index, entry in enumerate(inner) if entry.get("name") == part), None)
            if index is None:
                break
            place, inner = (*place, index), inner[index]
        else:
            break
    return place


def _unfit(value: Any, kind: Any, place: Path) -> Iterator[Fault]:
    """What of `value` is not of the kind."""
    kinds = _kinds(kind)
    if value is None:
        return
    if isinstance(value, Mapping):
        yield from _unfit_mapping(value, kinds, place)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = next((get_args(one)[0] for one in kinds if get_origin(one) is list), None)
        if inner is None:
            yield Fault(place, f"is a list, and takes {_told(kinds)}")
            return
        key = _MERGE_KEYS.get(str(place[-1]))
        for index, entry in enumerate(value):
            yield from _unfit(entry, inner, (*place, index))
            if key and isinstance(entry, Mapping) and key not in entry:
                yield Fault((*place, index), f"has no {key}, by which it is told from the others")
    else:
        try:
            _scalar(value, kinds)
        except ValueError:
            yield Fault(place, f"is {quoted(value)}, and takes {_told(kinds)}")


def _unfit_mapping(value: Mapping[str, Any], kinds: Sequence[Any], place: Path) -> Iterator[Fault]:
    model = _model(kinds)
    inner = next((get_args(one)[1] for one in kinds if get_origin(one) is dict), None)
    if model is None and inner is None and object not in kinds:
        yield Fault(place, f"has keys, and takes {_told(kinds)}")
        return
    for key, entry in value.items():
        if model is None:
            yield from _unfit(entry, inner or object, (*place, key))
        elif (field := _fields(model).get(key)) is None:
            known = _fields(model)
            yield Fault(
                (*place, key),
                f"is no field of a pod{did_you_mean(key, known) or f'; known here are {joined(sorted(known)[:12])}'}",
            )
        else:
            yield from _unfit(entry, field, (*place, key))


def _typed(value: Any, kind: Any) -> Any:
    """The value with its texts as the kind has them; it fits."""
    kinds = _kinds(kind)
    if value is None:
        return None
    if isinstance(value, Mapping):
        model = _model(kinds)
        inner = next((get_args(one)[1] for one in kinds if get_origin(one) is dict), object)
        return {key: _typed(entry, _fields(model)[key] if model else inner) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        inner = next(get_args(one)[0] for one in kinds if get_origin(one) is list)
        return [_typed(entry, inner) for entry in value]
    return _scalar(value, kinds)


def _scalar(value: Any, kinds: Sequence[Any]) -> Any:
    """Raises ValueError where it does not fit."""
    if bool in kinds and str(value).lower() in _BOOLEANS:
        return _BOOLEANS[str(value).lower()]
    for number in (int, float):
        if number in kinds:
            try:
                return number(value)
            except ValueError:
                continue
    if str in kinds or object in kinds:
        return str(value)
    raise ValueError


def _merge(whole: Any, patch: Any, key: str = "") -> Any:
    if isinstance(whole, Mapping) and isinstance(patch, Mapping):
        result = dict(whole)
        for name, entry in patch.items():
            if entry is None:
                result.pop(name, None)
            else:
                result[name] = _merge(result[name], entry, name) if name in result else entry
        return result
    by = _MERGE_KEYS.get(key)
    if by and isinstance(whole, Sequence) and isinstance(patch, Sequence):
        entries = {entry.get(by): entry for entry in whole}
        for entry in patch:
            known = entries.get(entry.get(by))
            entries[entry.get(by)] = entry if known is None else _merge(known, entry)
        return list(entries.values())
    return patch


def _kinds(kind: Any) -> list[Any]:
    """The kinds that an annotation allows, `None` and what is said of them left out."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _kinds(part)]
    if kind is type(None):
        return []
    return [object] if kind is Any else [kind]


def _model(kinds: Sequence[Any]) -> type[BaseModel] | None:
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """The kinds of a model's fields, by their names in the API."""
    return {field.serialization_alias or name: field.annotation for name, field in model.model_fields.items()}


def _told(kinds: Sequence[Any]) -> str:
    if _model(kinds) or any(get_origin(one) is dict for one in kinds):
        return "keys and values"
    if any(get_origin(one) is list for one in kinds):
        return "a list"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kinds[0] if kinds else str, "a text")
