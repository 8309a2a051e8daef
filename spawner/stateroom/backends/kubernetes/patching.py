"""The catalog's own words for a pod (`kubernetes: {pod: ...}`), checked and merged in: pure.

The catalog's scalars are texts. What a text means, and whether there is such a
field at all, the types of the Kubernetes client tell. Lists are merged as
Kubernetes' strategic merge does: by a key of their entries where they have one,
else replaced. `null` takes a field away.

Source of the keys: the `x-kubernetes-patch-merge-key` of the API's own schema.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from kubernetes.aio.client import V1Pod
from pydantic import BaseModel

from stateroom.errors import EngineRefused
from stateroom.wording import quoted

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
_OURS = ("apiVersion", "kind", "status")
_OURS_OF_METADATA = ("name", "namespace", "generateName", "ownerReferences", "finalizers")
_OUR_PREFIX = "io.stateroom."


def faults(patch: Mapping[str, Any]) -> list[str]:
    """What is wrong with a patch, a sentence each, beginning with the place."""
    return list(_faults_of(patch))


def merged(pod: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The pod with the catalog's words in it. Raises EngineRefused where they do not fit."""
    if not patch:
        return dict(pod)
    if found := faults(patch):
        raise EngineRefused(
            f"The catalog's kubernetes.pod does not fit: {found[0]}. Tell an administrator.", detail="; ".join(found)
        )
    whole: dict[str, Any] = _merge(pod, _typed(patch, V1Pod))
    return whole


def _faults_of(patch: Mapping[str, Any]) -> Iterator[str]:
    yield from _unfit(patch, V1Pod, "pod")
    for key in _OURS:
        if key in patch:
            yield f"pod.{key} is the server's own; leave it out"
    metadata = patch.get("metadata")
    if isinstance(metadata, Mapping):
        for key in _OURS_OF_METADATA:
            if key in metadata:
                yield f"pod.metadata.{key} is the server's own; leave it out"
        for part in ("labels", "annotations"):
            for name in metadata.get(part) or ():
                if str(name).startswith(_OUR_PREFIX):
                    yield f"pod.metadata.{part}.{name} is the server's own; leave it out"


def _unfit(value: Any, kind: Any, place: str) -> Iterator[str]:
    """What of `value` is not of the kind."""
    kinds = _kinds(kind)
    if value is None:
        return
    if isinstance(value, Mapping):
        yield from _unfit_mapping(value, kinds, place)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = next((get_args(one)[0] for one in kinds if get_origin(one) is list), None)
        if inner is None:
            yield f"{place} is a list, and takes {_told(kinds)}"
            return
        key = _MERGE_KEYS.get(place.rpartition(".")[2])
        for index, entry in enumerate(value):
            yield from _unfit(entry, inner, f"{place}[{index}]")
            if key and isinstance(entry, Mapping) and key not in entry:
                yield f"{place}[{index}] has no {key}, by which it is told from the others"
    else:
        try:
            _scalar(value, kinds)
        except ValueError:
            yield f"{place} is {quoted(value)}, and takes {_told(kinds)}"


def _unfit_mapping(value: Mapping[str, Any], kinds: Sequence[Any], place: str) -> Iterator[str]:
    model = _model(kinds)
    inner = next((get_args(one)[1] for one in kinds if get_origin(one) is dict), None)
    if model is None and inner is None and object not in kinds:
        yield f"{place} has keys, and takes {_told(kinds)}"
        return
    for key, entry in value.items():
        if model is None:
            yield from _unfit(entry, inner or object, f"{place}.{key}")
        elif (field := _fields(model).get(key)) is None:
            yield f"{place}.{key} is no field of a pod; known here are {', '.join(sorted(_fields(model))[:12])}"
        else:
            yield from _unfit(entry, field, f"{place}.{key}")


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
