"""The messages, and what a knob is: plain records with the fields that are on the wire."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import Any, Dict, List, Optional, Tuple, Union

#: What a knob's value can be.
Value = Union[bool, int, float, str]

_WORDS = {"true": True, "false": False}


@dc.dataclass
class KnobResponse:
    """What a knob does when a finding has a tag."""

    #: ``increase``, ``decrease`` or ``set``.
    direction: str = "increase"
    #: By how much, for ``increase`` and ``decrease``; above 0, as a factor above 1.
    step: Any = None
    #: ``add``, ``multiply`` or ``evidence`` (by the finding's own metrics).
    step_mode: str = "add"
    #: The value, for ``set``.
    set_to: Any = None
    #: Findings below this severity score are passed over; 0 to 1.
    min_severity: float = 0.5
    #: Findings that lasted fewer windows are passed over.
    min_persistence: int = 2
    #: Windows to wait after a change.
    cooldown_windows: int = 3
    #: ``epoch_boundary``, ``window_boundary`` or ``next_window`` (the same as ``window_boundary``).
    apply_when: str = "epoch_boundary"
    #: How much better severity must be for the next change; a fraction.
    effectiveness_threshold: float = 0.10


@dc.dataclass
class KnobDef:
    """A setting that may change while the script runs."""

    #: Its name, unique in the job: ``reader.threads``.
    id: str
    #: The value while nobody says otherwise.
    default: Any
    #: ``int``, ``float``, ``str`` or ``bool``.
    type: type
    #: The least and the largest value, both allowed; None is without bounds.
    range: Optional[Tuple[Any, Any]] = None
    #: The only values allowed; goes before ``range``.
    values: Optional[List[Any]] = None
    #: ``job``, ``rank_local`` or ``node``.
    scope: str = "job"
    #: What it does for each tag.
    responds_to: Dict[str, KnobResponse] = dc.field(default_factory=dict)
    #: The function that applies it.
    target_function: str = ""

    def clamp(self, value: Any) -> Any:
        """The value as one of this knob's: of its type, the nearest one within its range.

        ``ValueError`` where it cannot be one: not of the type, not finite, or none of ``values``. Nothing
        is guessed then; the default is no answer to a wrong value.
        """
        fitting = self._fit(value)
        if self.values is not None:
            if fitting not in self.values:
                raise ValueError(f"{self.id}: {value!r} is none of the values {self.values!r}")
            return fitting
        if self.range is None or isinstance(fitting, str):
            return fitting
        low, high = self.range
        if low > high:
            raise ValueError(f"{self.id}: the range [{low}, {high}] is reversed")
        if self.type is int:
            low, high = math.ceil(low), math.floor(high)
        held = self.type(max(low, min(high, fitting)))
        if not low <= held <= high:
            raise ValueError(f"{self.id}: the range [{low}, {high}] holds no value of the type")
        return held

    def _fit(self, value: Any) -> Any:
        if self.type is str and isinstance(value, str):
            return value
        if self.type is bool:
            if isinstance(value, str) and value in _WORDS:
                return _WORDS[value]
            if value in (0, 1) and not isinstance(value, str):
                return bool(value)
        elif self.type in (int, float) and isinstance(value, (bool, int, float)):
            if math.isfinite(value) and (self.type is float or value == int(value)):
                return self.type(value)
        name = getattr(self.type, "__name__", self.type)
        raise ValueError(f"{self.id}: {value!r} is not of type {name}")


@dc.dataclass
class ActionPlan:
    """A change of a knob that the optimizer wants."""

    plan_id: str
    knob_id: str
    target_function: str
    #: The value that the optimizer takes to be in force; None where it is not known.
    old_value: Any
    new_value: Any
    #: The boundary at which to apply it.
    apply_when: str
    #: Why, in one line for people.
    rationale: str
    finding_type: str
    severity: float
    opportunity_tag: str
    #: The window of the finding behind it.
    window_index: int
    #: The nodes it is for; empty is every node.
    target_nodes: List[str] = dc.field(default_factory=list)


@dc.dataclass
class ActionAck:
    """What a script says to a plan."""

    plan_id: str
    knob_id: str
    #: ``applied``, ``rejected`` or ``deferred``.
    status: str
    old_value: Any = None
    new_value: Any = None
    reason: str = ""
    #: When it was applied; None where it is not known.
    window_index: Optional[int] = None
    target_nodes: List[str] = dc.field(default_factory=list)
    instance: str = ""
    node: str = ""


@dc.dataclass
class DiagnosisFindingMsg:
    """What a diagnoser found."""

    finding_type: str
    motif: str
    severity: str
    severity_score: float
    confidence: float
    prevalence: float
    persistence: int
    trend_direction: str
    contributing_facts: List[Tuple[str, str]]
    recommendation_bundle: str
    opportunity_tags: List[str]
    summary: str
    scope: str = ""
    layer: Optional[str] = None
    support_windows: int = 0
    last_seen_window: int = 0
    window_index: int = 0
    publish_mode: str = "control"
    suppresses_tags: List[str] = dc.field(default_factory=list)
    key_metrics: Dict[str, float] = dc.field(default_factory=dict)


@dc.dataclass
class KnobRegistration:
    """A script telling which knobs it has."""

    namespace: str
    function_name: str
    #: By parameter, each as on the wire.
    knobs: Dict[str, Dict[str, Any]]
    current_values: Dict[str, Any] = dc.field(default_factory=dict)
    instance: str = ""
    node: str = ""
