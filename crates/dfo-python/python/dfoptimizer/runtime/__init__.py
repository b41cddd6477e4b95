"""What a script uses while it runs."""

from __future__ import annotations

from .context import Function, KnobsRefused, OptimizerContext, optimizer_context
from .knob import knob
from .tunable import tunable
from .window import Window

__all__ = [
    "Function",
    "KnobsRefused",
    "OptimizerContext",
    "Window",
    "knob",
    "optimizer_context",
    "tunable",
]
