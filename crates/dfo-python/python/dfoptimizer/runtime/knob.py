"""Declaring knobs, and their form on the wire."""

from __future__ import annotations

import dataclasses as dc
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..types import KnobDef, KnobResponse

_RESPONSE_FIELDS = tuple(field.name for field in dc.fields(KnobResponse))
_TYPES: Dict[str, type] = {
    "int": int,
    "integer": int,
    "float": float,
    "double": float,
    "str": str,
    "string": str,
    "bool": bool,
    "boolean": bool,
}


def knob(
    default: Any,
    type: type = int,
    range: Optional[Sequence[Any]] = None,
    values: Optional[List[Any]] = None,
    scope: str = "job",
    responds_to: Optional[Mapping[str, Mapping[str, Any]]] = None,
) -> Dict[str, Any]:
    """A knob, for :func:`~dfoptimizer.tunable` and the other forms.

    ``responds_to`` maps a tag of findings to what the knob does then; what is left out of a response has
    the default of :class:`~dfoptimizer.types.KnobResponse`::

        knob(default=2, range=(1, 16), responds_to={"dataloader_prefetch": {"step": 2}})
    """
    return {
        "default": default,
        "type": type,
        "range": range,
        "values": values,
        "scope": scope,
        "responds_to": responds_to or {},
    }


def knob_def_from_dict(knob_id: str, spec: Mapping[str, Any], target_function: str = "") -> KnobDef:
    """The definition of a knob that :func:`knob` declared."""
    default = spec["default"]
    bounds = spec.get("range")
    return KnobDef(
        id=knob_id,
        default=default,
        type=spec.get("type") or type(default),
        range=bounds if bounds is None else _pair(bounds),
        values=spec.get("values"),
        scope=spec.get("scope") or "job",
        responds_to=_responses(spec.get("responds_to")),
        target_function=target_function,
    )


def knob_def_to_wire(definition: KnobDef) -> Dict[str, Any]:
    """The definition as JSON has it in a registration."""
    bounds = definition.range
    return {
        "id": definition.id,
        "default": definition.default,
        "type": getattr(definition.type, "__name__", definition.type),
        # An empty range is wrong, and not the same as none: it is sent as it is, and refused.
        "range": bounds if bounds is None else list(bounds),
        "values": definition.values,
        "scope": definition.scope,
        "responds_to": {
            tag: {name: getattr(response, name) for name in _RESPONSE_FIELDS}
            for tag, response in definition.responds_to.items()
        },
        "target_function": definition.target_function,
    }


def knob_def_from_wire(wire: Mapping[str, Any]) -> KnobDef:
    """The definition that JSON has in a registration.

    ``ValueError`` where the type is none that a knob can have.
    """
    name = wire.get("type") or "int"
    if name not in _TYPES:
        raise ValueError(f"{wire['id']}: unknown type {name!r}; one of: int, float, str, bool")
    bounds = wire.get("range")
    return KnobDef(
        id=wire["id"],
        default=wire["default"],
        type=_TYPES[name],
        range=bounds if bounds is None else _pair(bounds),
        values=wire.get("values"),
        scope=wire.get("scope") or "job",
        responds_to=_responses(wire.get("responds_to")),
        target_function=wire.get("target_function") or "",
    )


def _responses(
    specs: Optional[Mapping[str, Union[KnobResponse, Mapping[str, Any]]]],
) -> Dict[str, KnobResponse]:
    return {tag: _response(spec) for tag, spec in (specs or {}).items()}


def _response(spec: Union[KnobResponse, Mapping[str, Any]]) -> KnobResponse:
    if isinstance(spec, KnobResponse):
        return spec
    given = {name: spec[name] for name in _RESPONSE_FIELDS if spec.get(name) is not None}
    return KnobResponse(**given)


def _pair(bounds: Sequence[Any]) -> Tuple[Any, Any]:
    """As it is, where it is no pair: whoever registers it is told."""
    return tuple(bounds)
