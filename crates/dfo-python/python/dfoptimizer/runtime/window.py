"""Marking windows of the work, so that findings and answers speak of them."""

from __future__ import annotations

from typing import Any, Optional

from .. import _native
from . import context as _context


class Window:
    """Marks windows of ``every_n`` iterations each for a tracer, and tells the process's context.

    The tracer has ``get_time``, ``enter_event``, ``log_event`` and ``exit_event``, as DFTracer's has; what it
    raises reaches the caller. A window has at most ``max_every_n`` iterations, at least 1.

    Call :meth:`start` and :meth:`stop` around each iteration, and :meth:`flush` at the end of an epoch. The
    window that is open goes along with every answer of :func:`~dfoptimizer.optimizer_context`'s context;
    another context is told with ``set_window``.
    """

    def __init__(self, tracer: Any = None, max_every_n: Optional[int] = None) -> None:
        self._native = _native.Window(tracer, max_every_n)

    def start(self) -> bool:
        """An iteration begins. True if a window begins with it."""
        begins = False
        try:
            begins = self._native.start()
        finally:
            # Also where the tracer raised: the window began all the same.
            current = _context.current()
            if current is not None:
                current.set_window(self._native.window_index)
        return begins

    def stop(self) -> bool:
        """An iteration ends. True if a window ends with it."""
        return self._native.stop()

    def flush(self) -> bool:
        """An epoch ends, and a window that is open with it; counting begins anew. True if there was one."""
        return self._native.flush()

    def increase_cadence(self) -> None:
        """Twice as many iterations in a window, within the maximum."""
        self._native.increase_cadence()

    def decrease_cadence(self) -> None:
        """Half as many iterations in a window, at least 1."""
        self._native.decrease_cadence()

    def update_cadence(self, new_every_n: int) -> None:
        """So many iterations in a window, within 1 and the maximum; ends a window that is open."""
        self._native.update_cadence(new_every_n)

    @property
    def every_n(self) -> int:
        """The iterations in a window."""
        return self._native.every_n

    @property
    def max_every_n(self) -> Optional[int]:
        """The most iterations that a window may have; None is without limit."""
        return self._native.max_every_n

    @property
    def window_index(self) -> int:
        """The newest window; 0 before the first."""
        return self._native.window_index

    @property
    def counter(self) -> int:
        """The iterations begun since the epoch began."""
        return self._native.counter

    def __repr__(self) -> str:
        return f"<Window {self.window_index}, every {self.every_n} iterations>"
