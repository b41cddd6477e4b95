"""Lets DFOptimizer tune a script while it runs.

A script tells which of its settings may change while it runs (*knobs*), takes changes (*plans*) where in
its work it can, and says what it really applied. The optimizer is another process, ``dfo serve``; this
package knows nothing of how it decides. Without an optimizer everything runs the same, and no plans come.

Three forms, from the least change to a script to the most control:

- :func:`tunable` on a function: plans take the place of its arguments.
- :meth:`OptimizerContext.function` and :meth:`Function.poll`: for loops that are no functions; or with
  :meth:`Function.on_change`, callbacks.
- :meth:`OptimizerContext.drain_actions_for` and :meth:`OptimizerContext.ack_action`: plans as they are.

:mod:`dfoptimizer.torch` has a loader for PyTorch that is tuned in mid-epoch.
"""

from __future__ import annotations

from ._native import Change, __version__
from .runtime import (
    Function,
    KnobsRefused,
    OptimizerContext,
    Window,
    knob,
    optimizer_context,
    tunable,
)

__all__ = [
    "Change",
    "Function",
    "KnobsRefused",
    "OptimizerContext",
    "Window",
    "__version__",
    "knob",
    "optimizer_context",
    "tunable",
]
